import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, firefox, type LaunchOptions, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { root } from "./paths.js";
import { atEnd } from "./scope.js";

/** Which browser the tests run in: vitest.config.ts has a project for each. */
export const isFirefox = process.env.BROWSER === "firefox";

/** Background traffic off: a test speaks to this machine only. */
const quiet = [
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
	"--disable-quic",
	"--no-first-run",
];

let browser: Promise<Browser> | undefined;

/** A browser for all tests of a file. */
export function launch(): Promise<Browser> {
	browser ??= begin();
	return browser;
}

async function begin(): Promise<Browser> {
	const begun = await (isFirefox ? beginFirefox() : beginChromium());
	atEnd(() => begun.close());
	return begun;
}

function beginChromium(options: LaunchOptions = {}): Promise<Browser> {
	return chromium.launch({
		executablePath: installed("CHROMIUM", "/usr/bin/chromium"),
		args: [...quiet, "--disable-gpu", "--js-flags=--expose-gc", "--enable-precise-memory-info", "--no-sandbox"],
		...options,
	});
}

/** A Chromium that can't read what its user may not, root or not. */
export async function launchUnprivileged(): Promise<Browser> {
	const PROGRAM = installed("CHROMIUM", "/usr/bin/chromium");
	const executablePath = join(root, "web/test/harness/unprivileged.sh");
	const begun = await beginChromium({ executablePath, env: { ...process.env, PROGRAM } });
	atEnd(() => begun.close());
	return begun;
}

/** As Debian builds it, over WebDriver BiDi: no build of Playwright's own. */
function beginFirefox(): Promise<Browser> {
	return firefox.launch({
		channel: "moz-firefox",
		executablePath: installed("FIREFOX", "/usr/bin/firefox-esr"),
		timeout: 60_000,
	});
}

function installed(variable: string, usual: string): string {
	const path = process.env[variable] ?? usual;
	if (!existsSync(path)) {
		throw new Error(`there is no browser at ${path}: run make browsers, or set ${variable}`);
	}
	return path;
}

/** Opens a page in a profile of its own. What goes wrong in it fails the test. */
export async function open(url: string, browser = launch()): Promise<Page> {
	const context = await (await browser).newContext();
	const page = await context.newPage();
	const errors: Error[] = [];
	page.on("pageerror", (error) => {
		// Firefox reports a request that it refuses as though the page had thrown.
		if (error.name !== "Cross-Origin Request Blocked") {
			errors.push(error);
		}
	});
	onTestFinished(async () => {
		await context.close();
		if (errors.length > 0) {
			throw new AggregateError(errors, `the page threw: ${errors.map(String).join("; ")}`);
		}
	});
	await page.goto(url);
	return page;
}
