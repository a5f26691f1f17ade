import { expect, test } from "vitest";
import { StreamUploadManager } from "../src/index.js";

test.each([
	["config.endpoint", { endpoint: 7 }],
	["config.endpoint", { endpoint: "" }],
	["config.endpoint", { endpoint: "ftp://example.org/" }],
	["config.chunkSize", { chunkSize: 0 }],
	["config.chunkSize", { chunkSize: "1MiB" }],
	["config.concurrentStreams", { concurrentStreams: 1.5 }],
	["config.parallelStreams", { parallelStreams: -1 }],
	["config.compressionEnabled", { compressionEnabled: "yes" }],
	["config.retryAttempts", { retryAttempts: -1 }],
	["config.validateChunks", { validateChunks: 1 }],
	["config.resume", { resume: null }],
	["config.bodyMode", { bodyMode: "stream" }],
	["config.stallTimeout", { stallTimeout: Number.POSITIVE_INFINITY }],
	["config.maxFileSize", { maxFileSize: Number.NaN }],
	["config.allowedMimeTypes", { allowedMimeTypes: "image/*" }],
	["config.allowedExtensions", { allowedExtensions: [1] }],
	["config.accessToken", { accessToken: "" }],
	["config.userId", { userId: 5 }],
	["config.headers", { headers: { a: 1 } }],
	["config.maxMemoryUsage", { maxMemoryUsage: "64MiB" }],
	["config must be", []],
])("names the option that can't be: %s %j", (name, config) => {
	expect(() => new StreamUploadManager(config as never)).toThrow(
		expect.objectContaining({ code: "VALIDATION_ERROR", message: expect.stringContaining(name) }),
	);
});

test.each([
	["memoryConfig.maxMemoryUsage", { maxMemoryUsage: 0 }],
	["memoryConfig.cleanupInterval", { cleanupInterval: 0 }],
	["memoryConfig.cleanupInterval", { cleanupInterval: 2 ** 31 }],
	["memoryConfig.enableAutoCleanup", { enableAutoCleanup: "true" }],
	["memoryConfig.thresholds", { thresholds: 0.7 }],
	["thresholds.warning", { thresholds: { warning: 70 } }],
	["thresholds.critical", { thresholds: { critical: Number.NaN } }],
	["thresholds.warning must be up to thresholds.critical, 0.9, not 0.95", { thresholds: { warning: 0.95 } }],
	["memoryConfig.gcCallback", { gcCallback: "gc" }],
	["resourceTracking.detailed", { resourceTracking: { detailed: 1 } }],
	["memoryConfig must be", null],
])("names the memory option that can't be: %s %j", (name, config) => {
	expect(() => new StreamUploadManager({}, config as never)).toThrow(
		expect.objectContaining({ code: "VALIDATION_ERROR", message: expect.stringContaining(name) }),
	);
});

test("takes options of the memory in the config; those of its own win", () => {
	const manager = new StreamUploadManager(
		{ maxMemoryUsage: 1000, thresholds: { warning: 0.5 } },
		{ maxMemoryUsage: 2000 },
	);
	expect(manager.memoryManager.limit).toBe(2000);
	manager.dispose();
});
