/**
 * `@streamflow/client` as a React hook.
 *
 * @packageDocumentation
 */
import {
	type MemoryConfig,
	type StreamOptions,
	StreamUploadManager,
	type Upload,
	type UploadConfig,
	type UploadSource,
	type UploadState,
} from "@streamflow/client";
import { useCallback, useEffect, useRef, useState } from "react";

export interface StreamUpload {
	/** Null until the component is mounted. */
	manager: StreamUploadManager | null;
	/** All uploads begun here, in their order, those that are over included. */
	uploads: UploadState[];
	/** Begins an upload; await it for its result. Only after the component is mounted. */
	start(file: UploadSource, options?: StreamOptions): Upload;
	pause(id?: string): void;
	resume(id?: string): void;
	abort(id?: string): Promise<void>;
}

/**
 * A manager that lives as long as the component. Its options hold from the mount
 * on; give the component another key to change them.
 */
export function useStreamUpload(config?: UploadConfig, memoryConfig?: MemoryConfig): StreamUpload {
	const [manager, setManager] = useState<StreamUploadManager | null>(null);
	const [uploads, setUploads] = useState<ReadonlyMap<string, UploadState>>(new Map());
	const options = useRef({ config, memoryConfig });
	const live = useRef<StreamUploadManager | null>(null);

	// Mounted twice, as StrictMode does, there are two managers one after the other.
	useEffect(() => {
		const manager = new StreamUploadManager(options.current.config, options.current.memoryConfig);
		const show = (id: string) => {
			const state = manager.getStreamingState(id);
			if (state) {
				setUploads((known) => new Map(known).set(id, state));
			}
		};
		manager.on("statechange", (state) => setUploads((known) => new Map(known).set(state.id, state)));
		manager.on("progress", ({ id }) => show(id));
		live.current = manager;
		setManager(manager);
		setUploads(new Map());
		return () => {
			live.current = null;
			manager.dispose();
		};
	}, []);

	const start = useCallback((file: UploadSource, options?: StreamOptions) => {
		if (!live.current) {
			throw new Error("useStreamUpload: start an upload once the component is mounted");
		}
		return live.current.startStreaming(file, undefined, options);
	}, []);
	const pause = useCallback((id?: string) => live.current?.pause(id), []);
	const resume = useCallback((id?: string) => live.current?.resume(id), []);
	const abort = useCallback(async (id?: string) => live.current?.abortStream(id), []);
	return { manager, uploads: [...uploads.values()], start, pause, resume, abort };
}
