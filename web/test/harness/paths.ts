import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** The repository. */
export const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
/** Where the tests put what they build. */
export const out = join(root, "web/test/out");

/** A directory that is gone when the test is over. */
export function temporary(): string {
	const directory = mkdtempSync(join(tmpdir(), "streamflow-web-"));
	onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}
