/**
 * `@streamflow/client` as a Vue composable.
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
import { type ComputedRef, computed, onScopeDispose, shallowReactive } from "vue";

export interface StreamUpload {
	manager: StreamUploadManager;
	/** All uploads begun here, in their order, those that are over included. */
	uploads: ComputedRef<UploadState[]>;
	/** Begins an upload; await it for its result. */
	start(file: UploadSource, options?: StreamOptions): Upload;
	pause(id?: string): void;
	resume(id?: string): void;
	abort(id?: string): Promise<void>;
}

/** A manager that lives as long as the component, or the effect scope. Call it in setup, or in `scope.run`. */
export function useStreamUpload(config?: UploadConfig, memoryConfig?: MemoryConfig): StreamUpload {
	const manager = new StreamUploadManager(config, memoryConfig);
	const known = shallowReactive(new Map<string, UploadState>());
	manager.on("statechange", (state) => known.set(state.id, state));
	manager.on("progress", ({ id }) => {
		const state = manager.getStreamingState(id);
		if (state) {
			known.set(id, state);
		}
	});
	onScopeDispose(() => manager.dispose());
	return {
		manager,
		uploads: computed(() => [...known.values()]),
		start: (file, options) => manager.startStreaming(file, undefined, options),
		pause: (id) => manager.pause(id),
		resume: (id) => manager.resume(id),
		abort: (id) => manager.abortStream(id),
	};
}
