import type { UploadError } from "@streamflow/client";
import * as format from "./format.js";

/** What the server's answers mean for a person, and what to do. */
const refusals: Record<number, string> = {
	401: "The server wants another token.",
	403: "Your token doesn't allow this: ask whoever runs the server for one that does.",
	404: "The server has nothing at this address: tell whoever runs it.",
	405: "The server takes no uploads at this address: tell whoever runs it.",
	409: "Somebody else sends to this upload, too: wait, and retry.",
	413: "This file is larger than the server takes: choose a smaller one, or ask whoever runs it.",
	415: "The server doesn't take files of this type: choose another one.",
	429: "Those were too many uploads for now: wait a while, and retry.",
	503: "The server is busy: retry in a while.",
	507: "The server has no space left: tell whoever runs it.",
};

/** A sentence for an upload that has failed. */
export function explain(error: UploadError): string {
	const known = refusals[error.status ?? 0];
	if (known) {
		return known + said(error);
	}
	switch (error.code) {
		case "NETWORK_ERROR":
			return error.status === undefined
				? "The server can't be reached: check your connection, and retry."
				: `The server is in trouble: retry in a while.${said(error)}`;
		case "INVALID_FILE":
			// The client knows the server's limit, and asks only whether a file can be read.
			return error.cause === undefined
				? (refusals[413] as string)
				: "This file can't be read, or has changed: check that it is still there, and retry.";
		case "MEMORY_LIMIT_EXCEEDED":
			return "This tab has no memory left for it: close others, and retry.";
		default:
			return `The server refused it: tell whoever runs it.${said(error)}`;
	}
}

/** A sentence for an upload that tries again by itself. */
export function comfort(error: UploadError | null): string {
	if (!navigator.onLine) {
		return "You are offline. It goes on when the connection is back.";
	}
	if (error?.status === 503) {
		const wait = error.retryAfter > 0 ? `in ${format.duration(error.retryAfter / 1000)}` : "soon";
		return `The server is busy. It tries again ${wait}.`;
	}
	if (error?.status === 429) {
		return "The server slows you down. It tries again soon.";
	}
	if (error?.status === 409 || error?.status === 423) {
		return "Somebody else sends to this upload, too. It tries again.";
	}
	return error?.status === undefined
		? "The server can't be reached. It tries again."
		: "The server is in trouble. It tries again.";
}

function said({ detail }: UploadError): string {
	return detail ? ` It says: ${detail.replace(/\.?$/, ".")}` : "";
}
