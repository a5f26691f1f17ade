/** Where an upload that isn't finished lies on the server. */
export interface Remembered {
	url: string;
	/** Milliseconds since the epoch. */
	expires: number;
}

const prefix = "streamflow:";
/** How long to remember an upload whose server doesn't say. */
const keep = 7 * 24 * 3_600_000;

/**
 * Remembers uploads across reloads, by fingerprint, in localStorage. Where that is
 * full the oldest go; where there is none, this page's memory has to do.
 */
export class ResumeStore {
	readonly #memory = new Map<string, string>();
	#swept = false;

	get(fingerprint: string): string | null {
		const key = prefix + fingerprint;
		const entry = parse(this.#memory.get(key) ?? storage()?.getItem(key));
		if (!entry || entry.expires < Date.now()) {
			this.remove(fingerprint);
			return null;
		}
		return entry.url;
	}

	set(fingerprint: string, url: string, expires: number | null): void {
		const value = JSON.stringify({ url, expires: expires ?? Date.now() + keep } satisfies Remembered);
		this.#sweep();
		for (;;) {
			try {
				const store = storage();
				if (!store) {
					break;
				}
				store.setItem(prefix + fingerprint, value);
				return;
			} catch {
				if (!evictOldest()) {
					break;
				}
			}
		}
		this.#memory.set(prefix + fingerprint, value);
	}

	remove(fingerprint: string): void {
		this.#memory.delete(prefix + fingerprint);
		storage()?.removeItem(prefix + fingerprint);
	}

	/** Removes what has expired, once. */
	#sweep(): void {
		if (!this.#swept) {
			this.#swept = true;
			for (const [key, entry] of entries()) {
				if (entry.expires < Date.now()) {
					storage()?.removeItem(key);
				}
			}
		}
	}
}

/** Merely naming localStorage throws where the user has turned it off. */
function storage(): Storage | null {
	try {
		return globalThis.localStorage ?? null;
	} catch {
		return null;
	}
}

function entries(): [string, Remembered][] {
	const store = storage();
	const keys = store ? Object.keys(store) : [];
	return keys
		.filter((key) => key.startsWith(prefix))
		.map((key) => [key, parse(store?.getItem(key)) ?? { url: "", expires: 0 }]);
}

function evictOldest(): boolean {
	const [oldest] = entries().sort(([, a], [, b]) => a.expires - b.expires);
	if (oldest) {
		storage()?.removeItem(oldest[0]);
	}
	return oldest !== undefined;
}

function parse(value: string | null | undefined): Remembered | null {
	try {
		const { url, expires } = JSON.parse(value ?? "null");
		return typeof url === "string" && typeof expires === "number" ? { url, expires } : null;
	} catch {
		return null;
	}
}
