// The clients measured, each behind the same function. Runs in the page.
import { type MemoryManager, StreamUploadManager } from "@streamflow/client";
import Uppy from "@uppy/core";
import UppyTus from "@uppy/tus";
import * as tus from "tus-js-client";

/** Uploads all files, so many at the same time where it takes that, and returns milliseconds. */
export type Contender = (files: File[], concurrency: number | undefined) => Promise<number>;

const endpoint = "/files/";

const streamflow: Contender = (files, concurrency = 3) =>
	timed(async () => {
		const manager = new StreamUploadManager({ endpoint, concurrentStreams: concurrency });
		await Promise.all(files.map((file) => manager.uploadFile(file)));
		manager.dispose();
	});

/** It has no queue of its own, so one takes the next file when the last is done. */
const tusJsClient: Contender = (files, concurrency = 3) =>
	timed(async () => {
		const left = [...files];
		const work = async () => {
			for (let file = left.pop(); file; file = left.pop()) {
				await one(file);
			}
		};
		await Promise.all(Array.from({ length: concurrency }, work));
	});

function one(file: File): Promise<void> {
	return new Promise((resolve, reject) => {
		new tus.Upload(file, {
			endpoint,
			metadata: { filename: file.name, filetype: file.type },
			onSuccess: () => resolve(),
			onError: reject,
		}).start();
	});
}

const uppy: Contender = (files, concurrency) =>
	timed(async () => {
		const uppy = new Uppy().use(UppyTus, { endpoint, ...(concurrency && { limit: concurrency }) });
		uppy.addFiles(files.map((data) => ({ name: data.name, type: data.type, data })));
		const { failed } = (await uppy.upload()) ?? {};
		if (failed?.length !== 0) {
			throw new Error("Uppy has failed");
		}
		uppy.destroy();
	});

async function timed(work: () => Promise<void>): Promise<number> {
	const began = performance.now();
	await work();
	return performance.now() - began;
}

/** Microseconds for one of a thousand, of so many rounds. */
async function microseconds(rounds: number, thousand: () => unknown): Promise<number[]> {
	const each: number[] = [];
	for (let round = 0; round < rounds; round++) {
		const began = performance.now();
		await thousand();
		each.push(performance.now() - began);
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	return each;
}

/** What it costs to track and release, in microseconds. */
async function costs(rounds: number): Promise<{ tracked: number[]; chunk: number[] }> {
	const manager = new StreamUploadManager({}, { maxMemoryUsage: 2 ** 40 });
	const memory: MemoryManager = manager.memoryManager;
	const resources = Array.from({ length: 1000 }, () => new ArrayBuffer(16));
	const { signal } = new AbortController();
	const tracked = await microseconds(rounds, () => {
		const ids = resources.map((resource) => memory.trackResource(resource, "chunk"));
		for (const id of ids) {
			void memory.releaseResource(id);
		}
	});
	const chunk = await microseconds(rounds, async () => {
		for (let i = 0; i < 1000; i++) {
			(await memory.reserve("chunk", 1024, signal)).release();
		}
	});
	manager.dispose();
	return { tracked, chunk };
}

const measured = {
	contenders: { streamflow, "tus-js-client": tusJsClient, Uppy: uppy },
	costs,
};

declare global {
	interface Window {
		measured: typeof measured;
	}
}
window.measured = measured;
