const prefix = "streamflow:";
/** How long to remember an upload whose server doesn't say. */
const keep = 7 * 24 * 3_600_000;

/** The URL of the upload with this fingerprint, where the page knew it before a reload. */
export function recall(fingerprint: string | null): string | null {
	const value = withStorage((storage) => storage.getItem(prefix + fingerprint)) ?? "";
	return expiry(value) >= Date.now() ? value.slice(value.indexOf(" ") + 1) : null;
}

/** Remembers an upload across reloads. What has expired goes, and where storage is full the oldest, too. */
export function remember(fingerprint: string | null, url: string, expires: number | null): void {
	if (fingerprint === null) {
		return;
	}
	const write = () =>
		withStorage((storage) => {
			storage.setItem(prefix + fingerprint, `${expires ?? Date.now() + keep} ${url}`);
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
		.map(([key, value]): [string, number] => [key, expiry(value)])
		.sort(([, a], [, b]) => a - b);
}

/** An entry is when it expires, in milliseconds since the epoch, and behind a space its URL. What is none has expired. */
function expiry(value: string): number {
	return Number.parseInt(value, 10) || 0;
}

/** Null where storage is full, or turned off: merely naming it throws then. */
function withStorage<T>(use: (storage: Storage) => T): T | null {
	try {
		return use(localStorage);
	} catch {
		return null;
	}
}
