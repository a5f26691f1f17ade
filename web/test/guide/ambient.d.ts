// The names that the guide's examples leave open.
import type * as client from "@streamflow/client";
import type * as react from "react";

declare global {
	type ResourceType = client.ResourceType;
	const StreamUploadManager: typeof client.StreamUploadManager;
	const manager: client.StreamUploadManager;
	const resource: object;
	const resourceId: string;
	const file: File;
	const chunk: ArrayBuffer;
	const threshold: number;
	const registry: FinalizationRegistry<() => void>;
	const cleanup: () => void;
	const useEffect: typeof react.useEffect;
	function uploadFile(file: File): Promise<unknown>;
	function triggerCleanup(): void;
	function processChunk(chunk: ArrayBuffer): Promise<void>;
}
