import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type MemoryConfig, StreamUploadManager } from "../src/index.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const { signal } = new AbortController();

function make(config: MemoryConfig) {
	const manager = new StreamUploadManager({}, config);
	const events: string[] = [];
	manager.on("memoryWarning", ({ usage, threshold }) => events.push(`warning ${usage} of ${threshold}`));
	manager.on("memoryCritical", ({ usage }) => events.push(`critical ${usage}`));
	return { manager, memory: manager.memoryManager, events };
}

test("has the guide's defaults", () => {
	const { manager, memory, events } = make({});
	expect(memory.limit).toBe(100 * 1024 * 1024);
	memory.trackResource({}, "chunk", { size: 69 * 1024 * 1024 });
	expect(events).toEqual([]);
	memory.trackResource({}, "chunk", { size: 1024 * 1024 });
	expect(events).toEqual(["warning 0.7 of 0.7"]);
	memory.trackResource({}, "chunk", { size: 20 * 1024 * 1024 });
	expect(events).toEqual(["warning 0.7 of 0.7", "critical 0.9"]);
	manager.dispose();
});

test("tells of a level once, until use has fallen well below its mark", async () => {
	const { memory, events } = make({ maxMemoryUsage: 100, enableAutoCleanup: false });
	const track = (size: number) => memory.trackResource({}, "chunk", { size });
	track(60);
	const last = track(12);
	await memory.releaseResource(last);
	await memory.releaseResource(track(6));
	const more = track(12);
	expect(events).toEqual(["warning 0.72 of 0.7", "warning 0.72 of 0.7"]);
	await memory.releaseResource(more);
	track(7);
	const again = track(5);
	await memory.releaseResource(again);
	track(5);
	expect(events).toHaveLength(3);
});

test("raises a warning before each critical", () => {
	const { memory, events } = make({ maxMemoryUsage: 100 });
	memory.trackResource({}, "chunk", { size: 100 });
	expect(events).toEqual(["warning 1 of 0.7", "critical 1"]);
});

test.each([
	{ what: "metadata.size", resource: new Uint8Array(9), metadata: { size: 5 }, size: 5 },
	{ what: "byteLength", resource: new ArrayBuffer(9), metadata: {}, size: 9 },
	{ what: "size", resource: new Blob(["abc"]), metadata: {}, size: 3 },
	{ what: "nothing", resource: {}, metadata: {}, size: 0 },
])("takes a resource's size from $what", ({ resource, metadata, size }) => {
	const { manager, memory } = make({});
	memory.trackResource(resource, "chunk", metadata);
	expect(manager.getMemoryStats()).toMatchObject({
		totalAllocated: size,
		activeResources: 1,
		peakMemoryUsage: size,
		lastGC: null,
		resourceStats: [{ type: "chunk", size, metadata }],
	});
});

test("gives a resource back once", async () => {
	const { manager, memory } = make({});
	const id = memory.trackResource(new ArrayBuffer(8));
	expect(await memory.releaseResource(id)).toBe(true);
	expect(await memory.releaseResource(id)).toBe(false);
	expect(manager.getMemoryStats()).toMatchObject({ totalAllocated: 0, activeResources: 0, peakMemoryUsage: 8 });
});

test.each([
	["a string", "text", {}],
	["null", null, {}],
	["a negative size", {}, { size: -1 }],
	["a size that is text", {}, { size: "1" }],
])("refuses to track %s", (_, resource, metadata) => {
	const { memory } = make({});
	expect(() => memory.trackResource(resource as never, "chunk", metadata)).toThrow(
		expect.objectContaining({ code: "VALIDATION_ERROR" }),
	);
});

test("keeps of a resource what resourceTracking says", () => {
	const { manager, memory } = make({ resourceTracking: { detailed: true, metadata: false } });
	const resource = {};
	memory.trackResource(resource, "image", { size: 1, owner: "me" });
	const [stats] = manager.getMemoryStats().resourceStats;
	expect(stats?.metadata).toEqual({});
	expect(stats?.stack).toContain("memory.test");
	memory.debug({ trackingEnabled: false });
	memory.trackResource(resource, "image", { size: 1 });
	expect(manager.getMemoryStats().activeResources).toBe(1);
});

test("cleans up: hooks, then the callback, and not within itself", async () => {
	const ran: string[] = [];
	const { manager, memory } = make({ gcCallback: () => void ran.push("callback") });
	const id = memory.trackResource({}, "cache", { size: 10 });
	memory.onBeforeGC(async () => {
		ran.push("hook");
		await memory.releaseResource(id);
		await memory.cleanup();
	});
	const remove = memory.onBeforeGC(() => void ran.push("removed"));
	remove();
	expect(await memory.cleanup()).toEqual({ resources: 1, bytes: 10 });
	expect(ran).toEqual(["hook", "callback"]);
	expect(manager.getMemoryStats().lastGC).toBe(Date.now());
});

test("a hook that throws ends no cleanup", async () => {
	const error = vi.spyOn(console, "error").mockImplementation(() => {});
	const { memory } = make({});
	memory.onBeforeGC(() => {
		throw new Error("broken hook");
	});
	await expect(memory.cleanup()).resolves.toEqual({ resources: 0, bytes: 0 });
	expect(error).toHaveBeenCalledOnce();
});

test("cleans up at each interval, until it is disposed", async () => {
	const hook = vi.fn(); // gcCallback is called after a real collection, too
	const { manager, memory } = make({ cleanupInterval: 1000 });
	memory.onBeforeGC(hook);
	await vi.advanceTimersByTimeAsync(3500);
	expect(hook).toHaveBeenCalledTimes(3);
	manager.dispose();
	manager.dispose();
	await vi.advanceTimersByTimeAsync(5000);
	expect(hook).toHaveBeenCalledTimes(3);
});

test("serves requests in order, and none while memory is critical", async () => {
	const { memory } = make({ maxMemoryUsage: 100, enableAutoCleanup: false });
	const order: string[] = [];
	const take = (name: string, bytes: number) =>
		memory.reserve("chunk", bytes, signal).then((reservation) => {
			order.push(name);
			return reservation;
		});
	const first = await take("first", 95);
	const waiting = [take("second", 60), take("third", 5)];
	await vi.advanceTimersByTimeAsync(60_000);
	expect(order).toEqual(["first"]);
	first.release();
	first.release();
	await Promise.all(waiting);
	expect(order).toEqual(["first", "second", "third"]);
	expect(memory.used).toBe(65);
});

test("what can't ever fit fails at once, and names the budget that would do", async () => {
	const { memory } = make({ maxMemoryUsage: 100 });
	await expect(memory.reserve("chunk", 101, signal)).rejects.toMatchObject({
		code: "MEMORY_LIMIT_EXCEEDED",
		message: expect.stringContaining("maxMemoryUsage to 101"),
	});
});

test("what others hold is cleaned up first, and then ends the wait", async () => {
	const { memory } = make({ maxMemoryUsage: 100 });
	const hook = vi.fn();
	memory.onBeforeGC(hook);
	memory.trackResource({}, "cache", { size: 90 });
	const refused = expect(memory.reserve("chunk", 20, signal)).rejects.toMatchObject({
		code: "MEMORY_LIMIT_EXCEEDED",
		message: expect.stringContaining("maxMemoryUsage to 110"),
	});
	await vi.advanceTimersByTimeAsync(10_000);
	await refused;
	expect(hook).toHaveBeenCalled();
});

test("a wait ends with its signal, and the next is served", async () => {
	const { memory } = make({ maxMemoryUsage: 100, thresholds: { warning: 1, critical: 1 } });
	const stop = new AbortController();
	const held = await memory.reserve("chunk", 60, signal);
	const large = expect(memory.reserve("chunk", 60, stop.signal)).rejects.toThrow("enough");
	const small = memory.reserve("chunk", 30, signal);
	stop.abort(new Error("enough"));
	await large;
	(await small).release();
	held.release();
	expect(memory.used).toBe(0);
});

test("who leaves in the moment of being served takes nobody else along", async () => {
	const { memory } = make({ maxMemoryUsage: 100, thresholds: { warning: 1, critical: 1 } });
	const stop = new AbortController();
	const held = await memory.reserve("chunk", 90, signal);
	const served = memory.reserve("chunk", 60, stop.signal);
	const next = memory.reserve("chunk", 60, signal);
	held.release();
	stop.abort(new Error("enough"));
	(await served).release();
	(await next).release();
	expect(memory.used).toBe(0);
});

test("a listener may end what waits for memory", async () => {
	const { manager, memory } = make({ maxMemoryUsage: 100, enableAutoCleanup: false });
	const stop = new AbortController();
	manager.on("memoryWarning", () => stop.abort(new Error("enough")));
	const held = await memory.reserve("chunk", 60, signal);
	const ended = memory.reserve("chunk", 80, stop.signal);
	const next = memory.reserve("chunk", 30, signal);
	held.release();
	await ended.then(
		(reservation) => reservation.release(),
		() => {},
	);
	(await next).release();
	expect(memory.used).toBe(0);
});

test("a listener may give memory back, and no level comes of what was there before", async () => {
	const { manager, memory, events } = make({ maxMemoryUsage: 100, enableAutoCleanup: false });
	const cache = memory.trackResource({}, "cache", { size: 60 });
	manager.on("memoryWarning", () => memory.releaseResource(cache));
	memory.trackResource({}, "cache", { size: 35 });
	expect(events).toEqual(["warning 0.95 of 0.7"]);
	expect(memory).toMatchObject({ used: 35, level: "normal" });
});

test("narrows chunks to the budget, and further when memory is short", () => {
	const { memory } = make({ maxMemoryUsage: 10 << 20 });
	expect(memory.narrow(1 << 20, 3)).toBe(1 << 20);
	expect(memory.narrow(8 << 20, 7)).toBe(1 << 20);
	memory.trackResource({}, "cache", { size: 7 << 20 });
	expect(memory.narrow(8 << 20, 7)).toBe(512 << 10);
	expect(memory.narrow(8 << 20, 1000)).toBe(64 << 10);
	expect(memory.narrow(1000, 1000)).toBe(1000);
});

test("a disposed manager holds nothing and takes nothing", async () => {
	const { manager, memory } = make({});
	const id = memory.trackResource({}, "cache", { size: 5 });
	manager.dispose();
	expect(manager.getMemoryStats()).toMatchObject({ totalAllocated: 0, activeResources: 0 });
	expect(await memory.releaseResource(id)).toBe(false);
	expect(() => memory.trackResource({})).toThrow(/disposed/);
	expect(() => manager.startStreaming(new Blob([]))).toThrow(/disposed/);
	expect(vi.getTimerCount()).toBe(0);
});
