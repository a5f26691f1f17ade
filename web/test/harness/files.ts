import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atEnd } from "./scope.js";

/** A directory that is gone when the tests are over. */
export function temporary(): string {
	const directory = mkdtempSync(join(tmpdir(), "streamflow-web-"));
	atEnd(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

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
