import type { UploadError } from "./errors.js";
import type { UploadState } from "./upload/state.js";

/** Memory in use as a fraction of `maxMemoryUsage`, and the mark it has passed. */
export interface MemoryEvent {
	usage: number;
	threshold: number;
	usedBytes: number;
	limitBytes: number;
}

export interface ProgressEvent {
	/** The upload that moved. */
	id: string;
	name: string;
	/** 0 to 100; 0 until the end where the length is unknown. */
	percentage: number;
	bytesUploaded: number;
	/** Null where the length is unknown. */
	totalBytes: number | null;
	/** Bytes per second, smoothed. */
	speed: number;
	/** Seconds, or null where nobody can tell. */
	estimatedTimeRemaining: number | null;
}

export interface PerformanceMetrics {
	/** The upload measured. */
	id: string;
	/** Bytes per second, smoothed. */
	speed: number;
	/** Bytes of the budget in use. */
	memoryUsage: number;
	/** Milliseconds spent checksumming and compressing since the last such event. */
	processingTime: number;
	/** Bytes that compression has kept off the network, in this upload. */
	savedBytes: number;
}

export interface ManagerEvents {
	progress: ProgressEvent;
	/** About once a second for each upload that moves, and at its end. */
	performance: PerformanceMetrics;
	memoryWarning: MemoryEvent;
	memoryCritical: MemoryEvent;
	/** An upload has another status; a failed one has its error with it. */
	statechange: UploadState;
	/** Something is amiss, and the upload goes on all the same. */
	warning: UploadError;
}

export type Listener<T> = (event: T) => unknown;

/** Calls whoever listens. One listener's exception reaches the console, and nobody else. */
export class Emitter<Events> {
	readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();

	on<K extends keyof Events>(type: K, listener: Listener<Events[K]>): () => void {
		const listeners = this.#listeners.get(type) ?? new Set();
		this.#listeners.set(type, listeners.add(listener));
		return () => this.off(type, listener);
	}

	off<K extends keyof Events>(type: K, listener: Listener<Events[K]>): void {
		this.#listeners.get(type)?.delete(listener);
	}

	/** Reports whether anybody listened. */
	emit<K extends keyof Events>(type: K, event: Events[K]): boolean {
		const listeners = [...(this.#listeners.get(type) ?? [])];
		for (const listener of listeners) {
			guard(() => (listener as Listener<Events[K]>)(event));
		}
		return listeners.length > 0;
	}

	clear(): void {
		this.#listeners.clear();
	}
}

/** Runs somebody else's function; what it throws, at once or later, goes to the console. */
export function guard(run: () => unknown): Promise<void> {
	return (async () => {
		await run();
	})().catch((error: unknown) => console.error(error));
}
