import {
	check,
	isBoolean,
	isCallback,
	isDuration,
	isFraction,
	isObject,
	isPositive,
	type Option,
	settle,
} from "../option.js";

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

export interface Thresholds {
	warning: number;
	critical: number;
}

export interface MemorySettings extends Required<Omit<MemoryConfig, "gcCallback">> {
	thresholds: Thresholds;
	gcCallback?: () => void;
	resourceTracking: Required<ResourceTracking>;
}

const options: Record<keyof MemoryConfig, Option> = {
	maxMemoryUsage: [isPositive, 100 << 20],
	cleanupInterval: [isDuration, 30_000],
	enableAutoCleanup: [isBoolean, true],
	thresholds: [isObject],
	gcCallback: [isCallback],
	resourceTracking: [isObject],
};
const marks: Record<string, Option> = { warning: [isFraction, 0.7], critical: [isFraction, 0.9] };
const tracking: Record<string, Option> = {
	enabled: [isBoolean, true],
	detailed: [isBoolean, false],
	metadata: [isBoolean, true],
};

/** `over` wins where both have an option. */
export function settleMemory(config: MemoryConfig, over: MemoryConfig): MemorySettings {
	const settings = settle<MemorySettings>("memoryConfig", over, options, settle("config", config, options));
	const thresholds = settle<Thresholds>("thresholds", { ...config.thresholds, ...over.thresholds }, marks);
	const { warning, critical } = thresholds;
	check("thresholds.warning", warning, [() => warning <= critical, `up to thresholds.critical, ${critical}`]);
	const tracked = { ...config.resourceTracking, ...over.resourceTracking };
	return { ...settings, thresholds, resourceTracking: settle("resourceTracking", tracked, tracking) };
}
