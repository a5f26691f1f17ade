import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { CDPSession, Locator, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { launch } from "./browser.js";
import { temporary } from "./files.js";
import type { Streamflow } from "./streamflow.js";

export interface Options {
	/** False is a browser that has no handles of files to give. */
	pickers?: boolean;
	/** The server wants one. */
	tokens?: boolean;
	/** Runs in each page before anything of its own. */
	first?: () => void;
}

export interface Violation {
	id: string;
	nodes: string[];
}

declare global {
	interface Window {
		/** What the browser noticed: milliseconds of each long task, and shifts of the layout. */
		noticed: { tasks: number[]; shifts: number; violations: string[] };
		// biome-ignore lint/suspicious/noExplicitAny: axe-core's own types would come with all of it
		axe: any;
	}
}

/** Bytes per second at which an upload has a middle. */
const slow = 6 << 20;

/**
 * Somebody at the upload page. It may break neither its Content-Security-Policy
 * nor ask anything of anybody but its server: that fails the test.
 */
export class Visitor {
	readonly page: Page;
	/** Method, path and headers of what the page asked for. */
	readonly requests: { method: string; path: string; headers: Record<string, string> }[] = [];
	readonly #session: CDPSession;

	private constructor(page: Page, session: CDPSession) {
		this.page = page;
		this.#session = session;
	}

	/** Opens the page, and waits until it is connected where that takes no token. */
	static async open(server: Streamflow, options: Options = {}): Promise<Visitor> {
		const { pickers = true, tokens = false } = options;
		const permissions = ["clipboard-read", "clipboard-write"];
		const context = await (await launch()).newContext({ permissions, viewport: { width: 1280, height: 800 } });
		await context.addInitScript(notice);
		if (options.first) {
			await context.addInitScript(options.first);
		}
		if (!pickers) {
			await context.addInitScript(() => Object.assign(window, { showOpenFilePicker: undefined }));
		}
		const page = await context.newPage();
		const visitor = new Visitor(page, await context.newCDPSession(page));
		await visitor.#session.send("Performance.enable", { timeDomain: "threadTicks" });
		const wrong: string[] = [];
		const { origin } = new URL(server.url);
		page.on("pageerror", (error) => wrong.push(String(error)));
		page.on("filechooser", () => {}); // from now on, and not only once a test waits for one
		page.on("dialog", (dialog) => void dialog.accept());
		page.on("request", (request) => {
			const url = new URL(request.url());
			visitor.requests.push({ method: request.method(), path: url.pathname, headers: request.headers() });
			if (url.origin !== origin) {
				wrong.push(`it asked ${url.href}`);
			}
		});
		onTestFinished(async () => {
			wrong.push(...(await page.evaluate(() => window.noticed.violations)));
			await context.close();
			expect(wrong).toEqual([]);
		});
		await page.goto(new URL("/", server.url).href);
		if (!tokens) {
			await expect.poll(() => visitor.text("#connection")).toBe("Connected");
		}
		return visitor;
	}

	/** Drops files and folders of the disk onto the page. */
	async drop(...files: string[]): Promise<void> {
		const data = { items: [], files, dragOperationsMask: 1 };
		for (const type of ["dragEnter", "dragOver", "drop"] as const) {
			await this.#session.send("Input.dispatchDragEvent", { type, x: 200, y: 300, data });
		}
	}

	/** The row of a file. */
	row(name: string): Locator {
		return this.page.locator(".row", { hasText: name });
	}

	async waitFor(name: string, status: string, timeout = 30_000): Promise<void> {
		await this.page.locator(`.row[data-status=${status}]`, { hasText: name }).waitFor({ timeout });
	}

	/** Waits until at least a quarter of a file is there. */
	async halfway(name: string): Promise<void> {
		const bar = this.row(name).getByRole("progressbar");
		await expect
			.poll(async () => Number(await bar.getAttribute("aria-valuenow")), { timeout: 30_000, interval: 20 })
			.toBeGreaterThan(25);
	}

	async text(selector: string): Promise<string> {
		return (await this.page.locator(selector).textContent()) ?? "";
	}

	async sentence(name: string): Promise<string> {
		return (await this.row(name).locator(".text").textContent()) ?? "";
	}

	press(name: string, action: string): Promise<void> {
		return this.row(name).locator(`[data-action=${action}]`).click();
	}

	slowDown(): Promise<unknown> {
		return this.#emulate({ uploadThroughput: slow });
	}

	speedUp(): Promise<unknown> {
		return this.#emulate({});
	}

	goOffline(): Promise<unknown> {
		return this.#emulate({ offline: true });
	}

	/** What axe-core finds wrong. */
	async accessibility(): Promise<Violation[]> {
		await this.page.evaluate(readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8"));
		return this.page.evaluate(async () => {
			// Half-way between two themes nothing has the contrast it will have.
			for (const animation of document.getAnimations()) {
				if (animation instanceof CSSTransition) {
					animation.finish();
				}
			}
			const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
			return violations.map(({ id, nodes }: { id: string; nodes: { html: string }[] }) => ({
				id,
				nodes: nodes.map(({ html }) => html),
			}));
		});
	}

	/** Milliseconds of CPU that the page's thread has spent so far: others on the machine don't count. */
	async work(): Promise<{ script: number; layout: number; all: number }> {
		const { metrics } = await this.#session.send("Performance.getMetrics");
		const of = (name: string) => Math.round((metrics.find((metric) => metric.name === name)?.value ?? 0) * 1_000);
		const layout = of("LayoutDuration") + of("RecalcStyleDuration");
		return { script: of("ScriptDuration"), layout, all: of("TaskDuration") };
	}

	#emulate(network: object): Promise<unknown> {
		const fast = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
		return this.#session.send("Network.emulateNetworkConditions", { ...fast, ...network });
	}
}

/** Makes a folder of small files, and returns its path. */
export function folder(name: string, files: Record<string, string>): string {
	const path = join(mkdtempSync(join(temporary(), "-")), name);
	for (const [file, content] of Object.entries(files)) {
		mkdirSync(dirname(join(path, file)), { recursive: true });
		writeFileSync(join(path, file), content);
	}
	return path;
}

function notice(): void {
	window.noticed = { tasks: [], shifts: 0, violations: [] };
	document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
		window.noticed.violations.push(`${violatedDirective} forbids ${blockedURI}`);
	});
	new PerformanceObserver((list) => {
		window.noticed.tasks.push(...list.getEntries().map(({ duration }) => duration));
	}).observe({ type: "longtask", buffered: true });
	new PerformanceObserver((list) => {
		for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
			window.noticed.shifts += entry.hadRecentInput ? 0 : entry.value;
		}
	}).observe({ type: "layout-shift", buffered: true });
}
