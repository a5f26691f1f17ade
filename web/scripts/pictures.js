// Makes the pictures of the page for README and docs from real uploads, in the
// Chromium that the tests use, beside a real server: npm run pictures, after npm ci.
import { execFileSync, spawn } from "node:child_process";
import {
	existsSync,
	ftruncateSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const images = join(root, "docs/images");
const work = mkdtempSync(join(tmpdir(), "streamflow-pictures-"));
const MiB = 1 << 20;

/** A file of holes, which takes no room on the disk. */
function sparse(name, bytes) {
	const path = join(work, name);
	mkdirSync(dirname(path), { recursive: true });
	ftruncateSync(openSync(path, "w"), bytes);
	return path;
}

for (const number of [1, 2, 3]) {
	sparse(`photos/2026/IMG_400${number}.jpg`, 4 * MiB + number * 12_345);
}
const large = [sparse("holiday.mov", 140 * MiB), sparse("disk.img", 3072 * MiB), sparse("archive.tar.zst", 300 * MiB)];
for (let number = 0; number < 5_000; number++) {
	sparse(`scans/scan-${number}.tif`, 0);
	writeFileSync(join(work, `scans/scan-${number}.tif`), "scanned ".repeat(100 + (number % 1_000)));
}

async function serve() {
	const ready = join(work, "ready");
	const program = join(work, "streamflow");
	execFileSync("go", ["build", "-o", program, "./cmd/streamflow"], { cwd: root, stdio: "inherit" });
	const flags = ["--listen", "127.0.0.1:0", "--store", join(work, "store"), "--ready-file", ready];
	const limits = ["--max-memory", "64MiB", "--max-file-size", "2GiB", "--allow-reading", "--log-level", "error"];
	const server = spawn(program, ["serve", ...flags, ...limits], { stdio: ["ignore", "ignore", "inherit"] });
	while (!existsSync(ready)) {
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	return { url: new URL("/", readFileSync(ready, "utf8").trim()).href, end: () => server.kill() };
}

/** Drops files onto a page. */
async function drop(session, ...files) {
	const data = { items: [], files, dragOperationsMask: 1 };
	for (const type of ["dragEnter", "dragOver", "drop"]) {
		await session.send("Input.dispatchDragEvent", { type, x: 100, y: 300, data });
	}
}

/** Uploads under way: some photos are there, one file is too large, two have a middle. */
async function running(page, session) {
	await drop(session, join(work, "photos"));
	await page.locator(".row[data-status=done]").nth(2).waitFor();
	await drop(session, ...large);
	const bar = page.locator(".row", { hasText: "holiday.mov" }).getByRole("progressbar");
	while (Number(await bar.getAttribute("aria-valuenow")) < 60) {
		await page.waitForTimeout(100);
	}
}

async function many(page, session) {
	await drop(session, join(work, "scans"));
	await page.locator("#total-files", { hasText: /^[1-9],?\d\d\d of 5,000/ }).waitFor({ timeout: 120_000 });
}

const wide = { width: 1200, height: 790 };
const phone = { width: 360, height: 740 };
const pictures = [
	{ name: "page-light", viewport: wide, colorScheme: "light", act: running },
	{ name: "page-dark", viewport: wide, colorScheme: "dark", act: running },
	{ name: "page-phone", viewport: phone, colorScheme: "light", act: running },
	{ name: "page-many", viewport: wide, colorScheme: "light", act: many },
];

const server = await serve();
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
try {
	for (const { name, act, ...look } of pictures) {
		const context = await browser.newContext(look);
		const page = await context.newPage();
		const session = await context.newCDPSession(page);
		const network = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 12 * MiB };
		await session.send("Network.emulateNetworkConditions", network);
		await page.goto(server.url);
		await page.locator("#server[data-level=normal]").waitFor({ state: "attached" });
		await act(page, session);
		await page.screenshot({ path: join(images, `${name}.png`) });
		await context.close();
		console.log(`docs/images/${name}.png`);
	}
} finally {
	await browser.close();
	server.end();
	rmSync(work, { recursive: true, force: true });
}
