import type { MemoryConfig } from "./memory/config.js";
import {
	check,
	isBoolean,
	isCount,
	isDuration,
	isList,
	isPositive,
	isText,
	isTexts,
	isToken,
	type Option,
	type Rule,
	settle,
} from "./option.js";

/** A bearer token, or a function that is asked for one before each request. Its upload keeps its turn until it has answered. */
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
	/** Bytes; a longer file is refused before anything is sent, a stream once it has given more. */
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

const isEndpoint: Rule = [
	(v) => isText[0](v) && URL.canParse(v as string, base()) && /^https?:/.test(resolve(v as string)),
	"an http or https URL, or a path",
];

const options: Record<keyof Omit<UploadConfig, keyof MemoryConfig>, Option> = {
	endpoint: [isEndpoint, "/files/"],
	chunkSize: [isPositive, 1 << 20],
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
