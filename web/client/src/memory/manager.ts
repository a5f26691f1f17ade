import { disposedError } from "../errors.js";
import { type Emitter, guard, type ManagerEvents } from "../events.js";
import { check, isBoolean, isCallback, type Option, settle } from "../option.js";
import { Admission, type Reservation } from "./admission.js";
import type { MemorySettings } from "./config.js";
import { type Level, LevelWatch } from "./level.js";
import { type ResourceStats, Resources, type ResourceType } from "./resources.js";

export interface MemoryStats {
	/** Bytes held now. */
	totalAllocated: number;
	/** Resources held now: those tracked, and the client's own chunks. */
	activeResources: number;
	/** The most bytes ever held at the same time. */
	peakMemoryUsage: number;
	/** When the last cleanup or noticed garbage collection was, in milliseconds since the epoch. */
	lastGC: number | null;
	/** Each resource held now. */
	resourceStats: ResourceStats[];
	/** Tracked resources that were collected without having been released. */
	leakedResources: number;
}

export interface CleanupResult {
	/** Resources given up. */
	resources: number;
	/** Bytes that went back to the budget. */
	bytes: number;
}

export interface DebugOptions {
	trackingEnabled?: boolean;
	/** Log each change to the console. */
	verbose?: boolean;
}

const debugOptions: Record<keyof DebugOptions, Option> = { trackingEnabled: [isBoolean], verbose: [isBoolean] };

/** The smallest chunk that the engine narrows to. */
export const minChunkBytes = 64 << 10;

/**
 * Decides who may hold how many bytes. The engine takes what it needs before it
 * allocates; what others have allocated is tracked, and counts all the same.
 */
export class MemoryManager {
	// A tag of its own tells reactive frameworks that this is no plain object to
	// be wrapped: Vue 2 and 3 proxy "[object Object]" only.
	readonly [Symbol.toStringTag] = "MemoryManager";
	readonly limit: number;
	readonly #settings: MemorySettings;
	readonly #resources: Resources;
	readonly #admission: Admission;
	readonly #watch: LevelWatch;
	readonly #hooks = new Set<() => unknown>();
	readonly #collections: FinalizationRegistry<undefined>;
	#timer: ReturnType<typeof setInterval> | undefined;
	#used = 0;
	#peak = 0;
	#lastGC: number | null = null;
	#cleaning = false;
	#verbose = false;
	#disposed = false;

	constructor(settings: MemorySettings, events: Emitter<ManagerEvents>) {
		this.limit = settings.maxMemoryUsage;
		this.#settings = settings;
		this.#resources = new Resources(settings.resourceTracking, (bytes) => this.charge(bytes));
		this.#watch = new LevelWatch(this.limit, settings.thresholds, (level, event) => {
			this.#log(level, event);
			events.emit(level === "warning" ? "memoryWarning" : "memoryCritical", event);
			if (level === "critical" && settings.enableAutoCleanup) {
				void this.cleanup();
			}
		});
		this.#admission = new Admission(this);
		this.#collections = new FinalizationRegistry(() => this.#collected());
		this.#collections.register({}, undefined);
		if (settings.enableAutoCleanup) {
			this.#timer = repeat(this, settings.cleanupInterval);
		}
	}

	get used(): number {
		return this.#used;
	}

	get level(): Level {
		return this.#watch.level;
	}

	/**
	 * Counts a resource that you have allocated, and follows it weakly. Its size is
	 * `metadata.size`, else its own `byteLength` or `size`. Returns its id.
	 */
	trackResource(resource: object, type: ResourceType = "other", metadata: Record<string, unknown> = {}): string {
		this.#ready();
		const id = this.#resources.track(resource, type, metadata);
		this.#log("tracked", id, type);
		return id;
	}

	/** Gives a tracked resource's bytes back. False where that was done before. */
	async releaseResource(id: string): Promise<boolean> {
		const released = this.#resources.release(id);
		this.#log("released", id, released);
		return released;
	}

	/** Has a function run at each cleanup, before anything is counted anew. Returns how to end that. */
	onBeforeGC(hook: () => unknown): () => void {
		check("The hook of onBeforeGC", hook, isCallback);
		this.#ready();
		const own = () => hook();
		this.#hooks.add(own);
		return () => void this.#hooks.delete(own);
	}

	/**
	 * Runs the hooks and gives up what nobody holds any more. During a cleanup
	 * another one does nothing.
	 */
	async cleanup(): Promise<CleanupResult> {
		if (this.#cleaning || this.#disposed) {
			return { resources: 0, bytes: 0 };
		}
		this.#cleaning = true;
		const { count } = this.#resources;
		const used = this.#used;
		await Promise.all([...this.#hooks].map(guard));
		this.#resources.sweep();
		this.#cleaning = false;
		this.#noteCollection();
		const result = {
			resources: Math.max(0, count - this.#resources.count),
			bytes: Math.max(0, used - this.#used),
		};
		this.#log("cleaned up", result);
		return result;
	}

	/** Turns tracking and the log on or off. */
	debug(options: DebugOptions = {}): void {
		const { tracking } = this.#resources;
		const now = { trackingEnabled: tracking.enabled, verbose: this.#verbose };
		const { trackingEnabled, verbose } = settle<Required<DebugOptions>>("debug", options, debugOptions, now);
		tracking.enabled = trackingEnabled;
		this.#verbose = verbose;
		this.#log("debug", this.stats());
	}

	stats(): MemoryStats {
		const { held } = this.#admission;
		return {
			totalAllocated: this.#used,
			activeResources: this.#resources.count + held.size,
			peakMemoryUsage: this.#peak,
			lastGC: this.#lastGC,
			resourceStats: [...this.#resources.list(), ...[...held].map(({ release, ...stats }) => stats)],
			leakedResources: this.#resources.leaked,
		};
	}

	/** Waits until bytes may be allocated. */
	reserve(type: ResourceType, bytes: number, signal: AbortSignal): Promise<Reservation> {
		return this.#admission.reserve(type, bytes, signal);
	}

	/** How large a chunk may be now, of those wanted by so many streams. */
	narrow(wanted: number, streams: number): number {
		const shares = streams * (this.level === "normal" ? 1 : 2);
		const share = Math.floor((this.limit * this.#settings.thresholds.warning) / shares);
		return Math.min(wanted, Math.max(share, minChunkBytes));
	}

	charge(bytes: number): void {
		this.#used += bytes;
		this.#peak = Math.max(this.#peak, this.#used);
		this.#watch.observe(this.#used);
		if (bytes < 0) {
			this.#admission.serve();
		}
	}

	dispose(reason: unknown): void {
		if (this.#used > 0) {
			this.#log("still held", this.stats().resourceStats);
		}
		this.#disposed = true;
		clearInterval(this.#timer);
		this.#admission.close(reason);
		this.#resources.clear();
		this.#hooks.clear();
	}

	/** A collection has run: the object that nobody held is gone. */
	#collected(): void {
		if (!this.#disposed) {
			this.#noteCollection();
			this.#collections.register({}, undefined);
		}
	}

	#noteCollection(): void {
		this.#lastGC = Date.now();
		if (this.#settings.gcCallback) {
			void guard(this.#settings.gcCallback);
		}
	}

	#ready(): void {
		if (this.#disposed) {
			throw disposedError();
		}
	}

	#log(...what: unknown[]): void {
		if (this.#verbose) {
			console.debug("streamflow memory:", ...what);
		}
	}
}

/** Cleans up now and then, for as long as somebody else holds the manager. */
function repeat(manager: MemoryManager, interval: number): ReturnType<typeof setInterval> {
	const ref = new WeakRef(manager);
	const timer = setInterval(() => void (ref.deref()?.cleanup() ?? clearInterval(timer)), interval);
	(timer as { unref?(): void }).unref?.(); // where pages are rendered it doesn't keep Node running
	return timer;
}
