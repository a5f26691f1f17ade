// What the guide's examples find around them when they run.
import type * as client from "@streamflow/client";
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import Vue2 from "vue2/dist/vue.esm.js";

declare global {
	interface Window {
		manager: client.StreamUploadManager;
		StreamUploadManager: typeof client.StreamUploadManager;
		resource: object;
		file: File;
		uploaded: unknown;
		triggered: number;
		processed: number;
		mountReact(Component: () => undefined): Promise<{ made: number; disposed: number }>;
		mountVue2(options: object): Promise<{ made: number; disposed: number }>;
	}
}

const { StreamUploadManager } = window.streamflow;
const counts = { made: 0, disposed: 0 };

class Counted extends StreamUploadManager {
	constructor(...options: ConstructorParameters<typeof StreamUploadManager>) {
		super(...options);
		counts.made++;
	}
	override dispose(): void {
		super.dispose();
		counts.disposed++;
	}
}

const manager = new StreamUploadManager();
const resource = { some: "thing" };
const settled = () => new Promise((resolve) => setTimeout(resolve, 100));
const element = () => document.body.appendChild(document.createElement("div"));

Object.assign(window, {
	StreamUploadManager: Counted,
	manager,
	resource,
	resourceId: manager.memoryManager.trackResource({}, "image", { size: 0 }),
	file: new File(["guide"], "guide.txt"),
	chunk: new ArrayBuffer(3),
	threshold: 100,
	registry: new FinalizationRegistry(() => {}),
	cleanup: () => {},
	useEffect,
	triggered: 0,
	uploadFile: async (file: File) => {
		window.uploaded = await manager.uploadFile(file);
	},
	triggerCleanup: () => {
		window.triggered++;
	},
	processChunk: async (chunk: ArrayBuffer) => {
		window.processed = chunk.byteLength;
	},
	mountReact: async (Component: () => undefined) => {
		const root = createRoot(element());
		root.render(
			<StrictMode>
				<Component />
			</StrictMode>,
		);
		await settled();
		root.unmount();
		await settled();
		return counts;
	},
	mountVue2: async (options: object) => {
		const component = new Vue2({ ...options, render: (h: (tag: string) => unknown) => h("div") }).$mount(element());
		await settled();
		component.$destroy();
		return counts;
	},
});
await manager.memoryManager.releaseResource((window as unknown as { resourceId: string }).resourceId);
