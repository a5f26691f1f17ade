/** Milliseconds that a page which is left may take to let go of its uploads. */
const patience = 1_000;

/** Tells a file from others, with where and as what it goes; null for what can't be recognized after a reload. */
export function fingerprint(source: unknown, endpoint: string, told: object): string | null {
	return source instanceof File ? JSON.stringify([endpoint, told, source.size, source.lastModified]) : null;
}

/**
 * Keeps a fingerprint for one upload until `over` settles: another one that looks
 * the same, in whatever tab, would send its bytes into the same upload. Null where
 * another one has it. Only on https and localhost has a page locks.
 */
export function claim(fingerprint: string | null, over: Promise<unknown>): Promise<string | null> {
	return new Promise((resolve) => {
		const held = () => {
			resolve(fingerprint);
			return over;
		};
		const { locks } = navigator;
		if (locks && fingerprint) {
			locks.request(fingerprint, { signal: AbortSignal.timeout(patience) }, held).catch(() => resolve(null));
		} else {
			held();
		}
	});
}
