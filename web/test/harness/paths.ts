import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
/** Where the tests put what they build. */
export const out = join(root, "web/test/out");
