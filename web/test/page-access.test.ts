import { beforeAll, expect, test } from "vitest";
import { sparseFile } from "./harness/files.js";
import { Streamflow } from "./harness/streamflow.js";
import { folder, Visitor } from "./harness/visitor.js";

const MiB = 1 << 20;

let server: Streamflow;
beforeAll(async () => {
	server = await Streamflow.start("--allow-reading", "--max-file-size", "64MiB");
});

test.each(["light", "dark"] as const)("axe-core finds nothing in %s, wide and on a phone", async (colorScheme) => {
	const visitor = await Visitor.open(server);
	const { page } = visitor;
	await page.emulateMedia({ colorScheme });
	expect(await visitor.accessibility()).toEqual([]);

	// A row in each state that there is without waiting long.
	await visitor.slowDown();
	await visitor.drop(folder("some", { "done.txt": "done" }), sparseFile(65 * MiB, "failed.bin"));
	await visitor.waitFor("done.txt", "done");
	await visitor.waitFor("failed.bin", "failed");
	const names = ["paused.bin", "b.bin", "c.bin", "d.bin", "waiting.bin"];
	await visitor.drop(...names.map((name) => sparseFile(60 * MiB, name)));
	await visitor.waitFor("paused.bin", "uploading");
	await visitor.press("paused.bin", "pause");
	await visitor.waitFor("waiting.bin", "waiting");
	expect(await visitor.accessibility()).toEqual([]);
	await page.setViewportSize({ width: 360, height: 740 });
	await page.locator("#memory-fold").click();
	expect(await visitor.accessibility()).toEqual([]);
	const cut = await page.evaluate(() =>
		[
			...document.querySelectorAll(
				".row:is([data-status=uploading], [data-status=paused], [data-status=waiting]) .text",
			),
		]
			.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
			.map(({ textContent }) => textContent),
	);
	expect(cut).toEqual([]);
	const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
	expect(overflow).toBeLessThanOrEqual(0);
	await page.locator("dialog").evaluate((dialog: HTMLDialogElement) => dialog.showModal());
	expect(await visitor.accessibility()).toEqual([]);
});

test("works by keyboard alone", async () => {
	const visitor = await Visitor.open(server, { pickers: false });
	const { page } = visitor;
	const { keyboard } = page;
	await visitor.slowDown();

	/** Presses Tab until the focus is on what is named so, which has to be in sight. */
	const tabTo = async (name: RegExp) => {
		for (let presses = 0; presses < 40; presses++) {
			await keyboard.press("Tab");
			const focused = await page.evaluate(() => {
				const element = document.activeElement as HTMLElement;
				const { top, bottom, width } = element.getBoundingClientRect();
				const seen = top >= 0 && bottom <= innerHeight && width > 1;
				const ring = getComputedStyle(element).outlineStyle !== "none";
				return { name: element.getAttribute("aria-label") ?? element.textContent ?? "", seen, ring };
			});
			if (name.test(focused.name)) {
				expect(focused).toMatchObject({ seen: true, ring: true });
				return;
			}
		}
		throw new Error(`no Tab leads to ${name}`);
	};

	await tabTo(/Choose files/);
	const chooser = page.waitForEvent("filechooser");
	await keyboard.press("Enter");
	await (await chooser).setFiles([sparseFile(30 * MiB, "keys.bin"), sparseFile(2 * MiB, "other.bin")]);
	await visitor.waitFor("keys.bin", "uploading");
	// The focus is on what took the place of the button that was pressed.
	expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Add files");
	await tabTo(/Pause keys.bin/);
	await keyboard.press("Enter");
	await visitor.waitFor("keys.bin", "paused");
	expect(await page.evaluate(() => document.activeElement?.ariaLabel)).toBe("Resume keys.bin");
	await keyboard.press("Space");
	await visitor.waitFor("keys.bin", "uploading");
	await visitor.waitFor("other.bin", "done");
	await keyboard.press("ArrowDown");
	expect(await page.evaluate(() => document.activeElement?.ariaLabel)).toBe("Copy link of other.bin");
	await keyboard.press("Enter");
	await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain(server.url);
	await keyboard.press("Home");
	await keyboard.press("Tab");
	expect(await page.evaluate(() => document.activeElement?.ariaLabel)).toBe("Cancel keys.bin");
	await keyboard.press("Enter");
	await expect.poll(() => page.locator(".row").count()).toBe(1);
	// The row is gone, the focus is not.
	expect(await page.evaluate(() => document.activeElement?.ariaLabel)).toBe("Remove other.bin");
});

test("five thousand files stay smooth", { timeout: 120_000 }, async () => {
	const visitor = await Visitor.open(server);
	const { page } = visitor;
	const names = Array.from({ length: 5_000 }, (_, i) => `scan-${i}.txt`);
	await visitor.drop(folder("many", Object.fromEntries(names.map((name) => [name, name]))));
	await expect.poll(() => visitor.text("[data-filter=all] b"), { timeout: 60_000 }).toBe("5,000");
	// While they are being uploaded the page is scrolled through, to its end.
	for (let i = 0; i < 20; i++) {
		await page.mouse.wheel(0, 3_000);
		await page.waitForTimeout(50);
	}
	await page.keyboard.press("Tab");
	await page.locator(".row .cancel").last().focus();
	await page.keyboard.press("End");
	await expect.poll(() => page.evaluate(() => document.activeElement?.ariaLabel)).toContain("scan-4999.txt");
	expect(await page.locator(".row").count()).toBeLessThan(60);
	await expect.poll(() => visitor.text("#total-files")).toMatch(/^[1-9][\d,]+ of 5,000 files$/);
	const { tasks, shifts } = await page.evaluate(() => window.noticed);
	const longest = tasks
		.sort((a, b) => b - a)
		.slice(0, 5)
		.map(Math.round);
	const work = await visitor.work();
	console.debug(`longest tasks: ${longest} ms; CPU ${JSON.stringify(work)} ms; layout shift ${shifts.toFixed(4)}`);
	expect(work.all).toBeLessThan(10_000);
	expect(shifts).toBeLessThan(0.02);
	await page.locator("#pause-all").click();
	await expect.poll(() => visitor.text("#total-text")).not.toContain("/s");
});

test("nothing jumps while files come and go", async () => {
	const visitor = await Visitor.open(server);
	await visitor.drop(folder("few", { "1.txt": "one", "2.txt": "two" }), sparseFile(65 * MiB, "failed.bin"));
	await visitor.waitFor("2.txt", "done");
	await visitor.waitFor("failed.bin", "failed");
	await visitor.page.locator("[data-filter=failed]").click();
	await visitor.page.waitForTimeout(1_500);
	const { shifts } = await visitor.page.evaluate(() => window.noticed);
	expect(shifts).toBeLessThan(0.02);
});
