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

export interface ErrorDetails {
	/** The status of the server's answer, where there was one. */
	status?: number | undefined;
	/** What the server says of it, in its own words. */
	detail?: string | undefined;
	/** Milliseconds the server asked to be left alone. */
	retryAfter?: number;
	/** The same request may succeed later. */
	transient?: boolean;
	cause?: unknown;
}

/** What went wrong and what to do about it: `message` is a sentence for a person. */
export class UploadError extends Error {
	override readonly name = "UploadError";
	declare readonly code: ErrorCode;
	declare readonly status: number | undefined;
	declare readonly detail: string | undefined;
	readonly retryAfter: number = 0;
	readonly transient: boolean = false;

	constructor(code: ErrorCode, message: string, { cause, ...details }: ErrorDetails = {}) {
		super(message, { cause });
		Object.assign(this, details, { code });
	}
}

/** The error of whoever asks something of a manager after its dispose. */
export function disposedError(): UploadError {
	return new UploadError("VALIDATION_ERROR", "This manager is disposed: make a new one.");
}

/** The error of work that was ended on purpose, as the platform's own. */
export function abortError(why: string): DOMException {
	return new DOMException(why, "AbortError");
}
