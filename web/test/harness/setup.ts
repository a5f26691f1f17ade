import { execFileSync } from "node:child_process";
import { out, root } from "./paths.js";

/** Builds what the browser tests run: the program, and the packages. */
export default function setup(): void {
	execFileSync("go", ["build", "-o", `${out}/streamflow`, "./cmd/streamflow"], { cwd: root, stdio: "inherit" });
	execFileSync("node", ["scripts/build.js"], { cwd: `${root}/web`, stdio: "inherit" });
}
