import { UploadError } from "./errors.js";
import type { MemoryConfig } from "./memory/config.js";

/** A bearer token, or a function that is asked for one before each request. */
export type AccessToken = string | (() => string | Promise<string>);

/** Options of a StreamUploadManager. It may hold those of its memory, too. */
export interface UploadConfig extends MemoryConfig {
	/** Where uploads are created; relative to the page. Default `/files/`. */
	endpoint?: string;
	/**
	 * Bytes of a chunk; default 1 MiB. A file that is sent straight from the disk
	 * takes no memory, and goes in one request unless this is given.
	 */
	chunkSize?: number;
	/** Requests under way at the same time; default 3. */
	concurrentStreams?: number;
	/** Parts of one file sent at the same time, where the server joins them; default 1. */
	parallelStreams?: number;
	/** Send chunks gzipped where the server takes them, and the type isn't compressed already. */
	compressionEnabled?: boolean;
	/**
	 * Failures in a row, without progress, after which an upload gives up; default 3.
	 * It tries for 45 seconds at least; 0 never tries again.
	 */
	retryAttempts?: number;
	/** Send a checksum with each chunk. The chunks are read into memory for it. */
	validateChunks?: boolean;
	/** Go on where an earlier upload of the same file stopped; default true. */
	resume?: boolean;
	/** How bytes reach a request; default `auto`. */
	bodyMode?: "auto" | "blob" | "buffer";
	/** Milliseconds without a byte sent after which a request is begun anew; default 30 s. */
	stallTimeout?: number;
	/** Bytes; a longer file is refused before anything is sent. */
	maxFileSize?: number;
	/** Such as `image/png` or `image/*`; other files are refused. */
	allowedMimeTypes?: string[];
	/** Such as `.png`; other files are refused. */
	allowedExtensions?: string[];
	accessToken?: AccessToken;
	/** Told to the server with each upload. */
	userId?: string;
	/** Sent with each request. */
	headers?: Record<string, string>;
}

export type Settings = Required<
	Pick<
		UploadConfig,
		| "endpoint"
		| "chunkSize"
		| "concurrentStreams"
		| "parallelStreams"
		| "compressionEnabled"
		| "retryAttempts"
		| "validateChunks"
		| "resume"
		| "bodyMode"
		| "stallTimeout"
		| "headers"
	>
> &
	Pick<UploadConfig, "maxFileSize" | "allowedMimeTypes" | "allowedExtensions" | "accessToken" | "userId"> & {
		/** Somebody has chosen chunkSize. */
		chunked: boolean;
	};

export const MiB = 1 << 20;

/** Says what a value has to be, where it isn't. */
export type Rule = [valid: (value: unknown) => boolean, expected: string];

export const isBoolean: Rule = [(v) => typeof v === "boolean", "true or false"];
export const isText: Rule = [(v) => typeof v === "string" && v !== "", "a string that isn't empty"];
export const isCallback: Rule = [(v) => typeof v === "function", "a function"];
export const isCount: Rule = [(v) => Number.isSafeInteger(v) && Number(v) >= 0, "a whole number, 0 or more"];
export const isPositive: Rule = [(v) => Number.isSafeInteger(v) && Number(v) > 0, "a whole number above 0"];
export const isFraction: Rule = [(v) => typeof v === "number" && v > 0 && v <= 1, "a number above 0 and up to 1"];
export const isObject: Rule = [(v) => typeof v === "object" && v !== null && !Array.isArray(v), "an object"];

const isTexts: Rule = [(v) => Array.isArray(v) && v.every(isText[0]), "an array of strings"];
// setTimeout takes no more, and fires at once.
export const isDuration: Rule = [
	(v) => isPositive[0](v) && Number(v) < 2 ** 31,
	"milliseconds, a whole number above 0 and below 2^31",
];

const rules: Record<string, Rule> = {
	endpoint: [isEndpoint, "an http or https URL, or a path"],
	chunkSize: isPositive,
	concurrentStreams: isPositive,
	parallelStreams: isPositive,
	compressionEnabled: isBoolean,
	retryAttempts: isCount,
	validateChunks: isBoolean,
	resume: isBoolean,
	bodyMode: [(v) => ["auto", "blob", "buffer"].includes(v as string), '"auto", "blob" or "buffer"'],
	stallTimeout: isDuration,
	maxFileSize: isPositive,
	allowedMimeTypes: isTexts,
	allowedExtensions: isTexts,
	accessToken: [(v) => isText[0](v) || isCallback[0](v), "a string or a function"],
	userId: isText,
	headers: [
		(v) => isObject[0](v) && Object.values(v as object).every((h) => typeof h === "string"),
		"an object of strings",
	],
};

/** Throws a VALIDATION_ERROR that names the first option in given that breaks its rule. */
export function validate(given: unknown, rules: Record<string, Rule>, prefix: string): void {
	check(prefix, given, isObject);
	for (const [name, rule] of Object.entries(rules)) {
		const value = (given as Record<string, unknown>)[name];
		if (value !== undefined) {
			check(`${prefix}.${name}`, value, rule);
		}
	}
}

export function check(name: string, value: unknown, [valid, expected]: Rule): void {
	if (!valid(value)) {
		throw new UploadError("VALIDATION_ERROR", `${name} must be ${expected}, not ${show(value)}.`);
	}
}

export function show(value: unknown): string {
	return typeof value === "string" || (typeof value === "object" && value !== null)
		? JSON.stringify(value)?.slice(0, 80)
		: String(value);
}

export function settle(config: UploadConfig): Settings {
	validate(config, rules, "config");
	const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
	return {
		endpoint: "/files/",
		chunkSize: MiB,
		concurrentStreams: 3,
		parallelStreams: 1,
		compressionEnabled: false,
		retryAttempts: 3,
		validateChunks: false,
		resume: true,
		bodyMode: "auto",
		stallTimeout: 30_000,
		headers: {},
		...given,
		chunked: "chunkSize" in given,
	};
}

/** The endpoint of a config or an upload as a whole URL. */
export function resolveEndpoint(endpoint: string): string {
	return new URL(endpoint, globalThis.document?.baseURI ?? "http://localhost/").href;
}

function isEndpoint(value: unknown): boolean {
	if (!isText[0](value)) {
		return false;
	}
	try {
		return /^https?:$/.test(new URL(resolveEndpoint(value as string)).protocol);
	} catch {
		return false;
	}
}

export function checkEndpoint(endpoint: unknown): string {
	check("endpoint", endpoint, rules.endpoint as Rule);
	return resolveEndpoint(endpoint as string);
}
