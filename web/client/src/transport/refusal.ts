import { type ErrorCode, UploadError } from "../errors.js";
import type { Answer } from "./request.js";

type Meaning = [code: ErrorCode, sentence: string];

const noServer: Meaning = ["VALIDATION_ERROR", "Is this a tus 1.0 server? Check config.endpoint."];
const interfered: Meaning = ["NETWORK_ERROR", "Somebody else sends to this upload: try again."];
const refused: Meaning = ["VALIDATION_ERROR", "The server refused."];
const troubled: Meaning = ["NETWORK_ERROR", "The server is in trouble, or full: try again later."];

const meanings: Record<number, Meaning> = {
	401: ["INVALID_TOKEN", "The server wants a valid access token: sign in again."],
	403: ["INVALID_TOKEN", "The server doesn't allow this upload: check what the access token may do."],
	404: noServer,
	405: noServer,
	409: interfered,
	410: ["NETWORK_ERROR", "The upload has expired: begin it again."],
	412: noServer,
	413: ["INVALID_FILE", "The file is larger than the server takes."],
	415: ["INVALID_FILE", "The server doesn't take files of this type."],
	423: interfered,
	429: ["RATE_LIMIT_EXCEEDED", "The server takes no more requests for now: try again later."],
	460: ["VALIDATION_ERROR", "The chunk arrived damaged: try again."],
	507: ["NETWORK_ERROR", "The server has no space left: tell those who run it."],
};

/** What may be different the next time. */
const transient = [408, 409, 423, 425, 429, 460];

/** The error in an answer that isn't the one hoped for. */
export function refusal(answer: Answer): UploadError {
	const { status, doing } = answer;
	const { code: own, detail } = parseProblem(answer);
	// Somebody has uploaded with this URL: nothing will change that.
	const like = own === "GRANT_USED" ? 400 : status;
	const [meant, meaning] = meanings[like] ?? (like < 500 ? refused : troubled);
	// What is wrong with a request a server of ours knows better than its status tells.
	const [code] = Object.values(meanings).find(([known]) => like < 500 && known === own) ?? [meant];
	const says = detail ? ` It says: ${detail}` : "";
	return new UploadError(code, `${doing} failed with status ${status}. ${meaning}${says}`, {
		status,
		detail,
		retryAfter: retryAfter(answer.header("Retry-After"), Date.now()),
		transient: like >= 500 || transient.includes(like),
	});
}

/** The error in an answer that no tus server gives. */
export function malformed({ doing, url, status }: Answer, what: string): UploadError {
	const [code, sentence] = noServer;
	return new UploadError(code, `${doing} at ${url}: ${what} ${sentence}`, { status });
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
function parseProblem(answer: Answer): { code?: unknown; detail?: string | undefined } {
	try {
		const { code, detail } = JSON.parse(answer.text);
		return { code, detail: typeof detail === "string" ? detail.slice(0, 300) : undefined };
	} catch {
		return {};
	}
}
