import {
	check,
	isBoolean,
	isCallback,
	isDuration,
	isFraction,
	isObject,
	isPositive,
	MiB,
	type Rule,
	validate,
} from "../config.js";
import { UploadError } from "../errors.js";

export interface ResourceTracking {
	/** Default true. */
	enabled?: boolean;
	/** Keep where each resource was tracked, as a stack; default false. */
	detailed?: boolean;
	/** Keep the metadata of each resource; default true. */
	metadata?: boolean;
}

/** Options of a MemoryManager. */
export interface MemoryConfig {
	/** The budget in bytes; default 100 MiB. */
	maxMemoryUsage?: number;
	/** Milliseconds between cleanups; default 30 s. */
	cleanupInterval?: number;
	/** Clean up by itself: each cleanupInterval, and when use turns critical. Default true. */
	enableAutoCleanup?: boolean;
	/** Fractions of the budget; default 0.7 and 0.9. */
	thresholds?: { warning?: number; critical?: number };
	/** Runs after each cleanup, and after each garbage collection that is noticed. */
	gcCallback?: () => void;
	resourceTracking?: ResourceTracking;
}

export interface MemorySettings {
	maxMemoryUsage: number;
	cleanupInterval: number;
	enableAutoCleanup: boolean;
	thresholds: { warning: number; critical: number };
	gcCallback: (() => void) | undefined;
	resourceTracking: Required<ResourceTracking>;
}

const rules: Record<string, Rule> = {
	maxMemoryUsage: isPositive,
	cleanupInterval: isDuration,
	enableAutoCleanup: isBoolean,
	thresholds: isObject,
	gcCallback: isCallback,
	resourceTracking: isObject,
};

/** `over` wins where both have an option. */
export function settleMemory(config: MemoryConfig, over: MemoryConfig): MemorySettings {
	check("memoryConfig", over, isObject);
	validate(config, rules, "config");
	validate(over, rules, "memoryConfig");
	const thresholds = { warning: 0.7, critical: 0.9, ...config.thresholds, ...over.thresholds };
	validate(thresholds, { warning: isFraction, critical: isFraction }, "thresholds");
	if (thresholds.warning > thresholds.critical) {
		throw new UploadError(
			"VALIDATION_ERROR",
			`thresholds.warning (${thresholds.warning}) must not be above thresholds.critical (${thresholds.critical}).`,
		);
	}
	const tracking = {
		enabled: true,
		detailed: false,
		metadata: true,
		...config.resourceTracking,
		...over.resourceTracking,
	};
	validate(tracking, { enabled: isBoolean, detailed: isBoolean, metadata: isBoolean }, "resourceTracking");
	return {
		maxMemoryUsage: over.maxMemoryUsage ?? config.maxMemoryUsage ?? 100 * MiB,
		cleanupInterval: over.cleanupInterval ?? config.cleanupInterval ?? 30_000,
		enableAutoCleanup: over.enableAutoCleanup ?? config.enableAutoCleanup ?? true,
		gcCallback: over.gcCallback ?? config.gcCallback,
		thresholds,
		resourceTracking: tracking,
	};
}
