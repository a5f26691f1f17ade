import { expect } from "vitest";
import type {} from "./surroundings.js";

const MiB = 1024 * 1024;

/** What an example has done, seen from the page that ran it. */
interface Ran {
	// biome-ignore lint/suspicious/noExplicitAny: what a snippet declares is its own
	declared: Record<string, any>;
	logged: unknown[][];
	stats: { totalAllocated: number; activeResources: number };
	// biome-ignore lint/suspicious/noExplicitAny: a snippet's surroundings differ
	extra: any;
}

export interface Case {
	/** How the snippet begins. */
	begins: string;
	/** Runs in the page before the snippet, and after it. */
	before?: () => unknown;
	after?: () => unknown;
	expect(ran: Ran): void;
}

const defaults = { maxMemoryUsage: 100 * MiB, cleanupInterval: 30000, enableAutoCleanup: true };
const nothing = () => {};

/** The examples in the order of the guide. */
export const cases: Case[] = [
	{ begins: "interface ResourceStats", expect: nothing },
	{
		begins: "const config",
		after: () => new window.streamflow.StreamUploadManager({}, window.kept.declared.config).dispose(),
		expect: ({ declared }) => expect(declared.config).toEqual({ thresholds: { warning: 0.7, critical: 0.9 } }),
	},
	{
		begins: "class MemoryManager",
		after: () => typeof new window.kept.declared.MemoryManager(),
		expect: ({ extra }) => expect(extra).toBe("object"),
	},
	{
		begins: "const memoryConfig",
		after: () => window.kept.declared.manager.memoryManager.limit,
		expect: ({ declared, extra }) => {
			expect(declared.memoryConfig).toMatchObject(defaults);
			expect(extra).toBe(100 * MiB);
		},
	},
	{
		begins: "const advancedConfig",
		after: async () => {
			const manager = new window.streamflow.StreamUploadManager({}, window.kept.declared.advancedConfig);
			manager.memoryManager.trackResource(window, "image", { size: 5, owner: "me" });
			await manager.memoryManager.cleanup();
			return manager.getMemoryStats().resourceStats;
		},
		expect: ({ logged, extra }) => {
			expect(logged).toContainEqual(["Garbage collection triggered"]);
			expect(extra).toEqual([
				expect.objectContaining({
					type: "image",
					size: 5,
					metadata: { size: 5, owner: "me" },
					stack: expect.any(String),
				}),
			]);
		},
	},
	{
		begins: "const stats = manager.getMemoryStats();\nconsole.log('Total",
		before: () => void window.manager.memoryManager.trackResource(window.resource, "chunk", { size: 7 }),
		expect: ({ logged }) =>
			expect(logged).toEqual([
				["Total allocated:", 7],
				["Active resources:", 1],
				["Peak usage:", 7],
			]),
	},
	{
		begins: "manager.on('memoryWarning'",
		after: () => void window.manager.memoryManager.trackResource(window.resource, "chunk", { size: 95 * 1024 * 1024 }),
		expect: ({ logged }) =>
			expect(logged).toEqual([
				["Memory warning:", 0.95, 0.7],
				["Critical memory usage:", 0.95],
			]),
	},
	{
		begins: "// Track a resource\n",
		after: () => window.manager.getMemoryStats().peakMemoryUsage,
		expect: ({ declared, stats, extra }) => {
			expect(declared.resourceId).toEqual(expect.any(String));
			expect(extra).toBe(1024);
			expect(stats).toMatchObject({ totalAllocated: 0, activeResources: 0 });
		},
	},
	{
		begins: "// Configure automatic cleanup",
		after: () => window.manager.getMemoryStats().lastGC,
		expect: ({ extra }) => expect(extra).toEqual(expect.any(Number)),
	},
	{
		begins: "const bestConfig",
		after: () => new window.streamflow.StreamUploadManager({}, window.kept.declared.bestConfig).memoryManager.limit,
		expect: ({ extra }) => expect(extra).toBe(100 * MiB),
	},
	{
		begins: "// Always cleanup when done",
		after: () => window.uploaded,
		expect: ({ extra, stats }) => {
			expect(extra).toMatchObject({ name: "guide.txt", size: 5 });
			expect(stats).toMatchObject({ totalAllocated: 0, activeResources: 0 });
		},
	},
	{
		begins: "// Regular monitoring",
		before: () => {
			window.manager.memoryManager.trackResource(window.resource, "chunk", { size: 101 });
			window.setInterval = ((run: () => void, interval: number) => {
				run();
				window.kept.interval = interval;
			}) as typeof setInterval;
		},
		after: () => ({ interval: window.kept.interval, triggered: window.triggered }),
		expect: ({ extra }) => expect(extra).toEqual({ interval: 5000, triggered: 1 }),
	},
	{
		begins: "const optimizedConfig",
		after: async () =>
			(await new window.streamflow.StreamUploadManager(window.kept.declared.optimizedConfig).uploadFile(window.file))
				.size,
		expect: ({ extra }) => expect(extra).toBe(5),
	},
	{
		begins: "// Track resource lifecycle",
		after: () => window.processed,
		expect: ({ extra, stats }) => {
			expect(extra).toBe(3);
			expect(stats).toMatchObject({ totalAllocated: 0, activeResources: 0 });
		},
	},
	{
		begins: "// Use WeakRef for references",
		after: () => window.kept.declared.ref.deref() === window.resource,
		expect: ({ extra }) => expect(extra).toBe(true),
	},
	{
		begins: "// Check for unreleased resources",
		before: () => void window.manager.memoryManager.trackResource(window.resource),
		expect: ({ logged }) => expect(logged).toEqual([["Unreleased resources:", 1]]),
	},
	{
		begins: "// Monitor memory spikes",
		after: async () => {
			window.manager.memoryManager.trackResource(window.resource, "chunk", { size: 95 * 1024 * 1024 });
			await new Promise((resolve) => setTimeout(resolve, 50));
		},
		expect: ({ logged }) => expect(logged).toEqual([["Emergency cleanup performed"]]),
	},
	{
		begins: "// Debug resource tracking",
		after: () => void window.manager.memoryManager.trackResource(window.resource, "image"),
		expect: ({ logged }) =>
			expect(logged).toContainEqual(["streamflow memory:", "tracked", expect.any(String), "image"]),
	},
	{
		begins: "const balancedConfig",
		after: async () =>
			(await new window.streamflow.StreamUploadManager(window.kept.declared.balancedConfig).uploadFile(window.file))
				.size,
		expect: ({ extra }) => expect(extra).toBe(5),
	},
	{
		begins: "// Performance monitoring",
		after: async () => void (await window.manager.uploadFile(window.file)),
		expect: ({ logged }) =>
			expect(logged.slice(0, 3)).toEqual([
				["Upload speed:", expect.any(Number)],
				["Memory usage:", expect.any(Number)],
				["Processing time:", expect.any(Number)],
			]),
	},
	{
		begins: "function UploadComponent",
		after: () => window.mountReact(window.kept.declared.UploadComponent),
		// StrictMode mounts twice.
		expect: ({ extra }) => expect(extra).toEqual({ made: 2, disposed: 2 }),
	},
	{
		begins: "export default {",
		after: () => window.mountVue2(window.kept.declared.default),
		expect: ({ extra }) => expect(extra).toEqual({ made: 1, disposed: 1 }),
	},
];
