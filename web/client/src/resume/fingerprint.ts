/** Tells a file from others, by its path where it has one; null for what can't be recognized after a reload. */
export function fingerprint(
	source: unknown,
	endpoint: string,
	userId: string | undefined,
	path: string,
): string | null {
	return source instanceof File
		? JSON.stringify([endpoint, userId, path || source.name, source.type, source.size, source.lastModified])
		: null;
}
