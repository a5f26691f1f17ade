// The figures of the browser client, beside tus-js-client and Uppy on the same
// server and files. Page and uploads are of one origin, with nothing between.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import type { CDPSession, Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { launch, open } from "../test/harness/browser.js";
import { sparseFile, temporary } from "../test/harness/files.js";
import { openClient } from "../test/harness/page.js";
import { root } from "../test/harness/paths.js";
import { Site } from "../test/harness/site.js";
import { Streamflow, sha256 } from "../test/harness/streamflow.js";
import type {} from "./contenders.js";
import { options } from "./options.js";
import { median, Report } from "./report.js";

const names = ["streamflow", "tus-js-client", "Uppy"] as const;
type Name = (typeof names)[number];
const MiB = 1 << 20;

let server: Streamflow;
let script: string;
beforeAll(async () => {
	server = await Streamflow.start();
	script = await bundle(`import "./contenders.ts"`, "iife");
});

/** Keeps a report, and fails where it misses a target. */
async function conclude(report: Report): Promise<void> {
	const versions: Record<string, string> = { Chromium: (await launch()).version() };
	for (const name of ["tus-js-client", "@uppy/core", "@uppy/tus"]) {
		versions[name] = JSON.parse(readFileSync(join(root, `peers/node_modules/${name}/package.json`), "utf8")).version;
	}
	const go = execFileSync("go", ["env", "GOVERSION"], { cwd: root, encoding: "utf8" }).trim();
	expect(report.write(versions, go)).toEqual([]);
}

async function bundle(contents: string, format: "iife" | "esm"): Promise<string> {
	const { outputFiles } = await build({
		stdin: { contents, resolveDir: join(root, "web/figures"), loader: "ts" },
		bundle: true,
		write: false,
		minify: true,
		format,
		target: "chrome111",
		nodePaths: [join(root, "peers/node_modules"), join(root, "web/node_modules")],
		legalComments: "none",
	});
	return outputFiles[0]?.text ?? "";
}

/** A page of the server's own, with the contenders and files chosen. */
async function openPage(paths: string[]): Promise<{ page: Page; session: CDPSession }> {
	const page = await open(new URL("/healthz", server.url).href);
	await page.setContent('<input type="file" id="files" multiple>');
	await page.addScriptTag({ content: script });
	await page.setInputFiles("#files", paths);
	const session = await page.context().newCDPSession(page);
	await session.send("HeapProfiler.enable");
	return { page, session };
}

/** Milliseconds a contender takes for the files chosen in the page. */
function run(page: Page, name: Name, concurrency?: number): Promise<number> {
	return page.evaluate(
		async ([name, concurrency]) => {
			localStorage.clear();
			const { files } = document.querySelector("#files") as HTMLInputElement;
			return window.measured.contenders[name]([...(files ?? [])], concurrency);
		},
		[name, concurrency] as const,
	);
}

interface Memory {
	usedSize: number;
	/** Of array buffers. */
	backingStorageSize: number;
}

async function collected(session: CDPSession): Promise<Memory> {
	await session.send("HeapProfiler.collectGarbage");
	return (await session.send("Runtime.getHeapUsage")) as unknown as Memory;
}

/** What of the JS heap survives collections while something runs, at the most. */
async function sampled<T>(session: CDPSession, work: Promise<T>): Promise<{ result: T; most: number }> {
	let over = false;
	const result = work.finally(() => {
		over = true;
	});
	let most = 0;
	while (!over) {
		most = Math.max(most, (await collected(session)).usedSize);
		await new Promise((resolve) => setTimeout(resolve, 500));
	}
	return { result: await result, most };
}

/** Another begins in each round, and each second one goes backwards: none is always the first, or behind the same other. */
function rotated<T>(runs: T[], round: number): T[] {
	const step = round % 2 === 0 ? 1 : runs.length - 1;
	return runs.map((_, i) => runs[(round + i * step) % runs.length] as T);
}

function empty(): void {
	for (const name of readdirSync(server.store)) {
		if (!name.startsWith(".")) {
			rmSync(join(server.store, name), { recursive: true });
		}
	}
}

test("browser-bundle", async () => {
	const report = new Report("browser-bundle", ["client", "bytes, gzip"]);
	const bundles: Record<Name, string> = {
		streamflow: readFileSync(join(root, "web/client/dist/index.js"), "utf8"),
		"tus-js-client": await bundle(`export * from "tus-js-client"`, "esm"),
		Uppy: await bundle(`export { default } from "@uppy/core"; export { default as Tus } from "@uppy/tus"`, "esm"),
	};
	for (const client of names) {
		const bytes = gzipSync(bundles[client], { level: 9 }).length;
		report.row(client, bytes);
		report.measured({ client, bytes });
		if (client === "streamflow") {
			report.target("bundle of ours, bytes of gzip", bytes, "≤", 10 * 1024);
		}
	}
	await conclude(report);
});

test("browser-track", async () => {
	const report = new Report("browser-track", ["work", "µs, median of 101 × 1,000"]);
	const { page } = await openPage([]);
	const costs = await page.evaluate((rounds) => window.measured.costs(rounds), 101);
	const tracked = median(costs.tracked);
	const chunk = median(costs.chunk);
	report.row("trackResource and releaseResource", tracked);
	report.row("reserve and release a chunk of the engine", chunk);
	report.speedTarget("trackResource and releaseResource, µs", tracked, "<", 4);
	report.speedTarget("a chunk of the engine, µs", chunk, "<", 1);
	await conclude(report);
});

test("browser-file", async () => {
	const report = new Report("browser-file", ["client", "seconds", "MiB/s", "JS heap over idle MiB, most"]);
	const runs = names.map((client) => ({ client, seconds: [] as number[], growth: [] as number[] }));
	const path = sparseFile(options.size * MiB);
	await sha256(path); // it is in the page cache for all alike
	for (let round = 0; round < options.rounds; round++) {
		for (const { client, seconds, growth } of rotated(runs, round)) {
			const { page, session } = await openPage([path]);
			const idle = await collected(session);
			const { result, most } = await sampled(session, run(page, client));
			seconds.push(result / 1000);
			growth.push((most - idle.usedSize) / MiB);
			report.measured({
				client,
				seconds: result / 1000,
				mib_per_second: (1000 * options.size) / result,
				heap_mib: growth.at(-1),
			});
			await page.close();
			empty();
		}
	}
	for (const { client, seconds, growth } of runs) {
		report.row(client, median(seconds), options.size / median(seconds), Math.max(...growth));
	}
	report.speedTarget("times as fast as the fastest other", timesAsFast(runs), "≥", 1);
	report.target("JS heap over idle, MiB, most", Math.max(...(runs[0]?.growth ?? [])), "≤", 1);
	await conclude(report);
});

/** Of the first, beside each other: the median of all rounds. The least is that beside the fastest. */
function timesAsFast(runs: { seconds: number[] }[]): number {
	const [own, ...others] = runs.map(({ seconds }) => seconds);
	return Math.min(
		...others.map((other) => median(other.map((seconds, round) => seconds / (own?.[round] ?? Number.NaN)))),
	);
}

interface TraceEvent {
	name: string;
	pid: number;
	tid: number;
	/** Microseconds by the clock, and of CPU. */
	dur?: number;
	tdur?: number;
	args: { name?: string };
}

/** The longest task of the page's main thread while something runs, in milliseconds by the clock and of CPU. */
async function longestTask(page: Page, work: () => Promise<unknown>): Promise<{ clock: number; cpu: number }> {
	const browser = await launch();
	await browser.startTracing(page, { categories: ["toplevel", "__metadata"] });
	await work();
	const { traceEvents } = JSON.parse(String(await browser.stopTracing())) as { traceEvents: TraceEvent[] };
	const thread = ({ pid, tid }: TraceEvent) => `${pid}/${tid}`;
	const main = traceEvents
		.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain")
		.map(thread);
	const tasks = traceEvents.filter((event) => /RunTask$/.test(event.name) && main.includes(thread(event)));
	const most = (pick: (event: TraceEvent) => number | undefined) =>
		tasks.reduce((longest, event) => Math.max(longest, pick(event) ?? 0), 0) / 1000;
	return { clock: most(({ dur }) => dur), cpu: most(({ tdur }) => tdur) };
}

test("browser-many", async () => {
	const report = new Report("browser-many", ["client", "seconds", "longest task ms", "of it CPU ms"]);
	const folder = temporary();
	const paths = Array.from({ length: options.quick ? 100 : 1000 }, (_, i) => join(folder, `file-${i}.bin`));
	for (const [i, path] of paths.entries()) {
		writeFileSync(path, Buffer.alloc(100 << 10, `${i} `));
	}
	const runs = [
		...[3, 6].flatMap((concurrency) =>
			names.map((name) => ({ name, concurrency, client: `${name}, ${concurrency} at a time` })),
		),
		{ name: "Uppy" as const, concurrency: undefined, client: "Uppy, its default" },
	].map((run) => ({ ...run, seconds: [] as number[], clock: [] as number[], cpu: [] as number[] }));
	for (let round = 0; round < options.rounds; round++) {
		for (const { name, concurrency, client, ...all } of rotated(runs, round)) {
			const { page } = await openPage(paths);
			let seconds = 0;
			const longest = await longestTask(page, async () => {
				seconds = (await run(page, name, concurrency)) / 1000;
			});
			all.seconds.push(seconds);
			all.clock.push(longest.clock);
			all.cpu.push(longest.cpu);
			report.measured({ client, seconds, longest_task_ms: longest.clock, longest_task_cpu_ms: longest.cpu });
			await page.close();
			empty();
		}
	}
	for (const { client, seconds, clock, cpu } of runs) {
		report.row(client, median(seconds), Math.max(...clock), Math.max(...cpu));
	}
	for (const concurrency of [3, 6]) {
		const alike = runs.filter((run) => run.concurrency === concurrency);
		report.speedTarget(`${concurrency} at a time, times as fast as the fastest other`, timesAsFast(alike), "≥", 1.5);
	}
	report.speedTarget("longest task of the main thread, ms", Math.max(...(runs[0]?.clock ?? [])), "≤", 50);
	await conclude(report);
});

test("browser-ledger", async () => {
	const report = new Report("browser-ledger", ["what", "value"]);
	const budget = 16 * MiB;
	const site = await Site.start(server.url);
	/** Requests with a chunk, held at the site until no more come, so that nothing moves while memory is looked at. */
	const held: ((passed: boolean) => void)[] = [];
	site.intercept = ({ method }) => (method === "PATCH" ? new Promise((resolve) => held.push(resolve)) : false);
	const page = await openClient(site);
	const session = await page.context().newCDPSession(page);
	await session.send("HeapProfiler.enable");
	const idle = await collected(session);
	const count = options.quick ? 4 : 12;
	await page.evaluate(
		([budget, count]) => {
			const manager = new window.streamflow.StreamUploadManager(
				{ bodyMode: "buffer", chunkSize: 4 << 20 },
				{ maxMemoryUsage: budget },
			);
			const part = new Blob([new Uint8Array(8 << 20)]);
			const files = Array.from({ length: count }, () => new Blob(Array.from({ length: 4 }, () => part)));
			window.kept = { manager, over: false };
			// A failure ends it too, and the page reports it.
			void Promise.all(files.map((file) => manager.uploadFile(file))).finally(() => {
				window.kept.over = true;
			});
		},
		[budget, count] as const,
	);
	const ledger = () =>
		page.evaluate(() => {
			const { totalAllocated, peakMemoryUsage } = window.kept.manager.getMemoryStats();
			return { bytes: totalAllocated as number, peak: peakMemoryUsage as number, over: window.kept.over as boolean };
		});
	const samples: { ledger: number; real: number }[] = [];
	let now = await ledger();
	let before = 0;
	let still = 0;
	for (; !now.over; now = await ledger()) {
		still = held.length === before ? still + 1 : 0;
		before = held.length;
		if (before === 0 || still < 3) {
			await new Promise((resolve) => setTimeout(resolve, 10));
			continue;
		}
		still = 0;
		const { backingStorageSize } = await collected(session);
		samples.push({ ledger: (await ledger()).bytes, real: backingStorageSize - idle.backingStorageSize });
		for (const pass of held.splice(0)) {
			pass(false);
		}
	}
	const apart = samples.map(({ ledger, real }) => (100 * Math.abs(real - ledger)) / ledger);
	const most = Math.max(...samples.map(({ real }) => real));
	report.row("files of 32 MiB, in array buffers of 4 MiB", count);
	report.row("budget, MiB", budget / MiB);
	report.row("samples, each after a forced collection", samples.length);
	report.row("ledger and real bytes apart, median, %", median(apart));
	report.row("ledger and real bytes apart, most, %", Math.max(...apart));
	report.row("ledger, most, MiB", now.peak / MiB);
	report.row("array buffers over idle, most, MiB", most / MiB);
	for (const sample of samples) {
		report.measured({ ledger_bytes: sample.ledger, real_bytes: sample.real });
	}
	report.target("samples", samples.length, "≥", options.quick ? 5 : 20);
	report.target("ledger and real bytes apart, most, %", Math.max(...apart), "≤", 5);
	report.target("array buffers over idle, most, MiB", most / MiB, "≤", budget / MiB);
	report.target("ledger, most, MiB", now.peak / MiB, "≤", budget / MiB);
	await conclude(report);
});
