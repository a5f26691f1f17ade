/** Where an upload that isn't finished lies on the server. */
interface Remembered {
	url: string;
	/** Milliseconds since the epoch. */
	expires: number;
}

const prefix = "streamflow:";
/** How long to remember an upload whose server doesn't say. */
const keep = 7 * 24 * 3_600_000;

/** The URL of the upload with this fingerprint, where the page knew it before a reload. */
export function recall(fingerprint: string | null): string | null {
	const entry = parse(withStorage((storage) => storage.getItem(prefix + fingerprint)));
	return entry && entry.expires >= Date.now() ? entry.url : null;
}

/** Remembers an upload across reloads. What has expired goes, and where storage is full the oldest, too. */
export function remember(fingerprint: string | null, url: string, expires: number | null): void {
	if (fingerprint === null) {
		return;
	}
	const value = JSON.stringify({ url, expires: expires ?? Date.now() + keep } satisfies Remembered);
	const write = () =>
		withStorage((storage) => {
			storage.setItem(prefix + fingerprint, value);
			return true;
		});
	for (const [key, expires] of entries()) {
		if (expires >= Date.now() && write()) {
			return;
		}
		withStorage((storage) => storage.removeItem(key));
	}
	write();
}

export function forget(fingerprint: string | null): void {
	withStorage((storage) => storage.removeItem(prefix + fingerprint));
}

/** What is remembered, with what expires first at the head. */
function entries(): [key: string, expires: number][] {
	const all = withStorage((storage) => Object.entries<string>(storage)) ?? [];
	return all
		.filter(([key]) => key.startsWith(prefix))
		.map(([key, value]): [string, number] => [key, parse(value)?.expires ?? 0])
		.sort(([, a], [, b]) => a - b);
}

/** Null where storage is full, or turned off: merely naming it throws then. */
function withStorage<T>(use: (storage: Storage) => T): T | null {
	try {
		return use(localStorage);
	} catch {
		return null;
	}
}

function parse(value: string | null): Remembered | null {
	try {
		const { url, expires } = JSON.parse(value ?? "");
		return typeof url === "string" && typeof expires === "number" ? { url, expires } : null;
	} catch {
		return null;
	}
}
