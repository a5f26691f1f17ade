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

type Optional = "maxFileSize" | "allowedMimeTypes" | "allowedExtensions" | "accessToken" | "userId";

export type Settings = Required<Omit<UploadConfig, Optional | keyof MemoryConfig>> &
	Pick<UploadConfig, Optional> & {
		/** Somebody has chosen chunkSize. */
		chunked: boolean;
	};

export const MiB = 1 << 20;

/** Says what a value has to be, where it isn't. */
export type Rule = [valid: (value: unknown) => boolean, expected: string];

/** What an option has to be, and what it is where nobody gives it. */
export type Option = [rule: Rule, otherwise?: unknown];

export const isBoolean: Rule = [(v) => typeof v === "boolean", "true or false"];
export const isText: Rule = [(v) => typeof v === "string" && v !== "", "a string that isn't empty"];
export const isCallback: Rule = [(v) => typeof v === "function", "a function"];
export const isCount: Rule = [(v) => Number.isSafeInteger(v) && Number(v) >= 0, "a whole number, 0 or more"];
export const isPositive: Rule = [(v) => isCount[0](v) && v !== 0, "a whole number above 0"];
export const isFraction: Rule = [(v) => typeof v === "number" && v > 0 && v <= 1, "a number above 0 and up to 1"];
export const isObject: Rule = [(v) => typeof v === "object" && v !== null && !Array.isArray(v), "an object"];
export const isTexts: Rule = [
	(v) => isObject[0](v) && Object.values(v as object).every((text) => typeof text === "string"),
	"an object of strings",
];
export const isToken: Rule = [(v) => isText[0](v) || isCallback[0](v), "a string or a function"];
// setTimeout takes no more, and fires at once.
export const isDuration: Rule = [
	(v) => isPositive[0](v) && Number(v) < 2 ** 31,
	"a whole number of milliseconds above 0 and below 2^31",
];

const isList: Rule = [(v) => Array.isArray(v) && v.every(isText[0]), "an array of strings"];
const isEndpoint: Rule = [
	(v) => isText[0](v) && URL.canParse(v as string, base()) && /^https?:/.test(resolve(v as string)),
	"an http or https URL, or a path",
];

const options: Record<keyof Omit<UploadConfig, keyof MemoryConfig>, Option> = {
	endpoint: [isEndpoint, "/files/"],
	chunkSize: [isPositive, MiB],
	concurrentStreams: [isPositive, 3],
	parallelStreams: [isPositive, 1],
	compressionEnabled: [isBoolean, false],
	retryAttempts: [isCount, 3],
	validateChunks: [isBoolean, false],
	resume: [isBoolean, true],
	bodyMode: [[(v) => ["auto", "blob", "buffer"].includes(v as string), '"auto", "blob" or "buffer"'], "auto"],
	stallTimeout: [isDuration, 30_000],
	maxFileSize: [isPositive],
	allowedMimeTypes: [isList],
	allowedExtensions: [isList],
	accessToken: [isToken],
	userId: [isText],
	headers: [isTexts, {}],
};

/**
 * Each option as given, else as in `base`, else what it is otherwise. The first
 * that breaks its rule is a VALIDATION_ERROR that names it.
 */
export function settle<T extends object>(
	prefix: string,
	given: unknown,
	options: Record<keyof T & string, Option>,
	base: Partial<T> = {},
): T {
	check(prefix, given, isObject);
	const settled = Object.entries<Option>(options).map(([name, [rule, otherwise]]) => {
		const value = (given as Record<string, unknown>)[name];
		if (value === undefined) {
			return [name, base[name as keyof T] ?? otherwise];
		}
		check(`${prefix}.${name}`, value, rule);
		return [name, value];
	});
	return Object.fromEntries(settled);
}

export function check(name: string, value: unknown, [valid, expected]: Rule): void {
	if (!valid(value)) {
		throw new UploadError("VALIDATION_ERROR", `${name} must be ${expected}, not ${show(value)}.`);
	}
}

function show(value: unknown): string {
	return typeof value === "string" || isObject[0](value) ? JSON.stringify(value)?.slice(0, 80) : String(value);
}

export function settleConfig(config: UploadConfig): Settings {
	const settings = settle<Settings>("config", config, options as Record<keyof Settings, Option>);
	return { ...settings, endpoint: resolve(settings.endpoint), chunked: config.chunkSize !== undefined };
}

/** An endpoint as a whole URL. */
export function resolveEndpoint(endpoint: string): string {
	check("endpoint", endpoint, isEndpoint);
	return resolve(endpoint);
}

const base = () => globalThis.document?.baseURI ?? "http://localhost/";
const resolve = (endpoint: string) => new URL(endpoint, base()).href;
