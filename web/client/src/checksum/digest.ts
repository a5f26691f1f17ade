import { crc32c } from "./crc32c.js";

/** Names as tus has them in Tus-Checksum-Algorithm. */
export type Algorithm = "sha256" | "sha1" | "crc32c";

const names = { sha256: "SHA-256", sha1: "SHA-1" };

/** The best of those a server takes that can be computed here, or null. */
export function choose(offered: ReadonlySet<string>): Algorithm | null {
	// WebCrypto is there on https and on localhost only.
	const known: Algorithm[] = globalThis.crypto?.subtle ? ["sha256", "sha1", "crc32c"] : ["crc32c"];
	return known.find((algorithm) => offered.has(algorithm)) ?? null;
}

/** The checksum in base64. */
export async function digest(algorithm: Algorithm, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
	const sum =
		algorithm === "crc32c" ? crc32c(bytes) : new Uint8Array(await crypto.subtle.digest(names[algorithm], bytes));
	return btoa(String.fromCharCode(...sum));
}
