/** Tells a file from others; null for what can't be recognized after a reload. */
export function fingerprint(source: unknown, endpoint: string, userId: string | undefined): string | null {
	if (!(source instanceof File)) {
		return null;
	}
	const path = source.webkitRelativePath || source.name;
	return [endpoint, userId ?? "", path, source.type, source.size, source.lastModified]
		.map(String)
		.map(encodeURIComponent)
		.join("/");
}
