import { type ErrorCode, isErrorCode, UploadError } from "../errors.js";
import type { Answer } from "./request.js";

const meanings: Record<number, [ErrorCode, string]> = {
	400: ["VALIDATION_ERROR", "The server doesn't understand the request."],
	401: ["INVALID_TOKEN", "The server wants a valid access token: sign in again, or check config.accessToken."],
	403: ["INVALID_TOKEN", "The server doesn't allow this upload: check what the access token may do."],
	404: ["VALIDATION_ERROR", "There is nothing at this address: check config.endpoint."],
	405: ["VALIDATION_ERROR", "This address takes no uploads: check config.endpoint."],
	409: ["NETWORK_ERROR", "The server has another part of this upload than expected: try again."],
	410: ["NETWORK_ERROR", "The upload has expired on the server: begin it again."],
	412: ["VALIDATION_ERROR", "The server doesn't speak tus 1.0: check config.endpoint."],
	413: ["INVALID_FILE", "The file is larger than the server takes."],
	415: ["INVALID_FILE", "The server doesn't take files of this type."],
	423: ["NETWORK_ERROR", "Somebody else is sending to this upload: try again."],
	429: ["RATE_LIMIT_EXCEEDED", "The server takes no more requests for now: try again later."],
	460: ["VALIDATION_ERROR", "A chunk arrived damaged: its checksum differs."],
	503: ["NETWORK_ERROR", "The server is busy or full: try again later."],
	507: ["NETWORK_ERROR", "The server has no space left: tell those who run it."],
};

/** What may be different the next time. */
const transient = [408, 409, 423, 425, 429, 460];

/** The error in an answer that isn't the one hoped for. */
export function refusal(answer: Answer, doing: string): UploadError {
	const { status } = answer;
	const problem = parseProblem(answer);
	const [code, meaning] = meanings[status] ?? [
		status < 500 ? "VALIDATION_ERROR" : "NETWORK_ERROR",
		status < 500 ? "The server refused." : "The server is in trouble: try again later.",
	];
	// A server in trouble speaks of its own memory, not of ours.
	const own = status < 500 && isErrorCode(problem.code) ? problem.code : code;
	const detail = problem.detail ? ` It says: ${problem.detail}` : "";
	return new UploadError(own, `${doing} failed with status ${status}. ${meaning}${detail}`, {
		status,
		...(problem.detail && { detail: problem.detail }),
		retryAfter: retryAfter(answer.header("Retry-After"), Date.now()),
		transient: status >= 500 || transient.includes(status),
	});
}

/** The error in an answer that no tus server gives. */
export function malformed(answer: Answer, doing: string, what: string): UploadError {
	return new UploadError(
		"VALIDATION_ERROR",
		`${doing}: ${what} Is ${answer.url} a tus 1.0 server? Check config.endpoint.`,
		{
			status: answer.status,
		},
	);
}

/** Milliseconds of a Retry-After (RFC 9110, 10.2.3), up to an hour. */
export function retryAfter(value: string | null, now: number): number {
	if (!value) {
		return 0;
	}
	const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
	return Math.min(Math.max(milliseconds || 0, 0), 3_600_000);
}

/** Problem details (RFC 9457), or nothing. */
function parseProblem(answer: Answer): { code?: unknown; detail?: string } {
	if (!answer.header("Content-Type")?.startsWith("application/problem+json")) {
		return {};
	}
	try {
		const { code, detail } = JSON.parse(answer.text);
		return { code, ...(typeof detail === "string" && { detail: detail.slice(0, 300) }) };
	} catch {
		return {};
	}
}
