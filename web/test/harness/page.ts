import type * as streamflow from "@streamflow/client";
import type { Browser, Page } from "playwright-core";
import { open } from "./browser.js";
import type { Site } from "./site.js";

declare global {
	interface Window {
		streamflow: typeof streamflow;
		/** Imports a module. */
		load(path: string): Promise<Record<string, unknown>>;
		/** Whatever one evaluation leaves for the next. */
		// biome-ignore lint/suspicious/noExplicitAny: tests put there what they like
		kept: any;
	}
	interface Performance {
		/** Chromium's. */
		memory: { usedJSHeapSize: number };
	}
}

/** Opens the site's page, once it has the client. */
export async function openClient(site: Site, browser?: Promise<Browser>): Promise<Page> {
	const page = await open(site.url, browser);
	await loaded(page);
	return page;
}

export async function loaded(page: Page): Promise<void> {
	await page.waitForFunction(() => window.streamflow !== undefined);
}
