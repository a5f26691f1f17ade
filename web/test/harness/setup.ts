import { execFileSync } from "node:child_process";
import { out, root } from "./paths.js";

/** Builds what the browser tests run: the packages, and the program with the page in it. */
export default function setup(): void {
	execFileSync("node", ["scripts/build.js"], { cwd: `${root}/web`, stdio: "inherit" });
	execFileSync("node", ["scripts/page.js"], { cwd: `${root}/web`, stdio: "inherit" });
	execFileSync("go", ["build", "-o", `${out}/streamflow`, "./cmd/streamflow"], { cwd: root, stdio: "inherit" });
}
