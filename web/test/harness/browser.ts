import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { atEnd } from "./scope.js";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

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
	if (!existsSync(executablePath)) {
		throw new Error(`there is no browser at ${executablePath}: run make chromium, or set CHROMIUM`);
	}
	browser ??= begin();
	return browser;
}

async function begin(): Promise<Browser> {
	const begun = await chromium.launch({
		executablePath,
		args: [...quiet, "--disable-gpu", "--js-flags=--expose-gc", "--enable-precise-memory-info", "--no-sandbox"],
	});
	atEnd(() => begun.close());
	return begun;
}

/** Opens a page in a profile of its own. What goes wrong in it fails the test. */
export async function open(url: string): Promise<Page> {
	const context = await (await launch()).newContext();
	const page = await context.newPage();
	const errors: Error[] = [];
	page.on("pageerror", (error) => errors.push(error));
	onTestFinished(async () => {
		await context.close();
		if (errors.length > 0) {
			throw new AggregateError(errors, `the page threw: ${errors.map(String).join("; ")}`);
		}
	});
	await page.goto(url);
	return page;
}
