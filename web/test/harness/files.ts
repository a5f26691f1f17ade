import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { temporary } from "./paths.js";

/** Makes a file with marks at its start, middle and end, and holes between; takes no room on the disk. */
export function sparseFile(bytes: number, name = "large.bin"): string {
	const path = join(temporary(), name);
	const file = openSync(path, "w");
	ftruncateSync(file, bytes);
	for (const at of [0, Math.floor(bytes / 2), bytes - 8]) {
		writeSync(file, "streamfl", at);
	}
	closeSync(file);
	return path;
}
