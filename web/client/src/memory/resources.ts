import { check, isCallback, isCount, type Rule } from "../option.js";
import type { ResourceTracking } from "./config.js";

/** What a resource is; the client's own are `chunk`, `transfer` and `compressor`. */
export type ResourceType = "chunk" | "transfer" | "compressor" | "other" | (string & {});

export interface ResourceStats {
	type: ResourceType;
	/** Bytes. */
	size: number;
	/** Milliseconds since the epoch. */
	createdAt: number;
	// The guide's own type: metadata is the user's, of whatever kind.
	// biome-ignore lint/suspicious/noExplicitAny: the guide's own type
	metadata: Record<string, any>;
	/** Where it was tracked; with `resourceTracking.detailed`. */
	stack?: string;
}

const isHeldWeakly: Rule = [(v) => (typeof v === "object" && v !== null) || isCallback[0](v), "an object"];

interface Resource extends ResourceStats {
	ref: WeakRef<object>;
}

/**
 * Resources that somebody else allocated. It holds them weakly: one that is
 * collected without having been released counts as leaked, and its bytes go back.
 */
export class Resources {
	readonly tracking: Required<ResourceTracking>;
	/** Collected without having been released, ever. */
	leaked = 0;
	readonly #resources = new Map<string, Resource>();
	readonly #registry: FinalizationRegistry<string>;
	readonly #changed: (bytes: number) => void;
	#next = 0;

	/** `changed` hears of each change in bytes. */
	constructor(tracking: Required<ResourceTracking>, changed: (bytes: number) => void) {
		this.tracking = { ...tracking };
		this.#changed = changed;
		this.#registry = new FinalizationRegistry((id) => this.#lose(id));
	}

	get count(): number {
		return this.#resources.size;
	}

	track(resource: object, type: ResourceType, metadata: Record<string, unknown>): string {
		check("A tracked resource", resource, isHeldWeakly);
		const size = sizeOf(resource, metadata);
		const id = `resource-${++this.#next}`;
		if (!this.tracking.enabled) {
			return id;
		}
		this.#resources.set(id, {
			type,
			size,
			createdAt: Date.now(),
			metadata: this.tracking.metadata ? metadata : {},
			ref: new WeakRef(resource),
			...(this.tracking.detailed && { stack: new Error("tracked").stack ?? "" }),
		});
		this.#registry.register(resource, id, this.#resources.get(id));
		this.#changed(size);
		return id;
	}

	/** False where the id is unknown or was released before. */
	release(id: string): boolean {
		const resource = this.#resources.get(id);
		if (!resource) {
			return false;
		}
		this.#registry.unregister(resource);
		this.#resources.delete(id);
		this.#changed(-resource.size);
		return true;
	}

	/** Gives up resources that are dead already, ahead of the registry. */
	sweep(): void {
		for (const [id, resource] of this.#resources) {
			if (!resource.ref.deref()) {
				this.#lose(id);
			}
		}
	}

	list(): ResourceStats[] {
		return [...this.#resources.values()].map(({ ref, ...stats }) => ({ ...stats, metadata: { ...stats.metadata } }));
	}

	clear(): void {
		for (const id of [...this.#resources.keys()]) {
			this.release(id);
		}
	}

	#lose(id: string): void {
		if (this.release(id)) {
			this.leaked++;
		}
	}
}

function sizeOf(resource: object, metadata: Record<string, unknown>): number {
	const own = resource as { byteLength?: unknown; size?: unknown };
	const size = metadata.size ?? own.byteLength ?? own.size ?? 0;
	if (metadata.size !== undefined) {
		check("metadata.size", size, isCount);
	}
	return isCount[0](size) ? (size as number) : 0;
}
