/** The codes a program may branch on. They are the same in every part of Streamflow. */
export type ErrorCode =
	| "RATE_LIMIT_EXCEEDED"
	| "INVALID_FILE"
	| "MEMORY_LIMIT_EXCEEDED"
	| "INVALID_TOKEN"
	| "ENCRYPTION_FAILED"
	| "WORKER_ERROR"
	| "NETWORK_ERROR"
	| "VALIDATION_ERROR";

const codes: readonly string[] = [
	"RATE_LIMIT_EXCEEDED",
	"INVALID_FILE",
	"MEMORY_LIMIT_EXCEEDED",
	"INVALID_TOKEN",
	"ENCRYPTION_FAILED",
	"WORKER_ERROR",
	"NETWORK_ERROR",
	"VALIDATION_ERROR",
] satisfies ErrorCode[];

export function isErrorCode(code: unknown): code is ErrorCode {
	return codes.includes(code as string);
}

export interface ErrorDetails {
	/** The status of the server's answer, where there was one. */
	status?: number;
	/** What the server says of it, in its own words. */
	detail?: string;
	/** Milliseconds the server asked to be left alone. */
	retryAfter?: number;
	/** The same request may succeed later. */
	transient?: boolean;
	cause?: unknown;
}

/** What went wrong and what to do about it: `message` is a sentence for a person. */
export class UploadError extends Error {
	override readonly name = "UploadError";
	readonly code: ErrorCode;
	readonly status: number | undefined;
	readonly detail: string | undefined;
	readonly retryAfter: number;
	readonly transient: boolean;

	constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
		super(message, { cause: details.cause });
		this.code = code;
		this.status = details.status;
		this.detail = details.detail;
		this.retryAfter = details.retryAfter ?? 0;
		this.transient = details.transient ?? false;
	}
}

export function isTransient(error: unknown): error is UploadError {
	return error instanceof UploadError && error.transient;
}

/** The error of work that was ended on purpose, as the platform's own. */
export function abortError(why: string): DOMException {
	return new DOMException(why, "AbortError");
}
