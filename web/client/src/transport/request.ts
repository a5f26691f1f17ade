import { UploadError } from "../errors.js";

export interface Request {
	/** What it is for, as the start of a sentence. */
	doing: string;
	method: "OPTIONS" | "POST" | "HEAD" | "PATCH" | "DELETE";
	url: string;
	headers: Record<string, string>;
	body?: Blob | ArrayBuffer | Uint8Array<ArrayBuffer> | undefined;
	/** Bytes of the body on their way so far. */
	onSent?: ((bytes: number) => void) | undefined;
	signal: AbortSignal;
	/** Milliseconds without a byte sent after which the request fails. */
	stallTimeout: number;
}

export interface Answer {
	doing: string;
	status: number;
	/** The URL that answered, after redirects. */
	url: string;
	header(name: string): string | null;
	text: string;
}

/** How long the answer may take once everything is sent, in stall timeouts: a server may have work to do then. */
const answerStalls = 4;

/**
 * Sends a request by XMLHttpRequest: fetch can't tell how much it has sent, and
 * reads a Blob ahead. Whatever ends without an answer is a transient NETWORK_ERROR.
 */
export function send(request: Request): Promise<Answer> {
	const { doing, method, url, signal, stallTimeout } = request;
	return new Promise((resolve, reject) => {
		signal.throwIfAborted();
		const xhr = new XMLHttpRequest();
		const fail = (why: string) =>
			reject(new UploadError("NETWORK_ERROR", `${method} ${url} ${why}`, { transient: true }));
		let stalled: ReturnType<typeof setTimeout> | undefined;
		const watch = (stalls: number) => {
			clearTimeout(stalled);
			stalled = setTimeout(() => {
				fail(`sent nothing for ${Math.round(stallTimeout / 1000)} s: check the connection.`);
				xhr.abort();
			}, stalls * stallTimeout);
		};
		const abort = () => {
			reject(signal.reason);
			xhr.abort();
		};
		signal.addEventListener("abort", abort, { once: true });
		xhr.onloadend = () => {
			clearTimeout(stalled);
			signal.removeEventListener("abort", abort);
		};
		xhr.onload = () =>
			resolve({
				doing,
				status: xhr.status,
				url: xhr.responseURL || url,
				header: (name) => xhr.getResponseHeader(name),
				text: xhr.responseText,
			});
		xhr.onerror = () => fail("got no answer: check the connection, and that the server allows this page (CORS).");
		xhr.open(method, url);
		xhr.responseType = "text"; // else Firefox reads it as XML, and complains
		for (const [name, value] of Object.entries(request.headers)) {
			xhr.setRequestHeader(name, value);
		}
		if (request.body) {
			// A listener makes a request to another origin ask first; tus does anyway.
			xhr.upload.onprogress = (event) => {
				watch(1);
				request.onSent?.(event.loaded);
			};
			xhr.upload.onload = () => watch(answerStalls);
		}
		xhr.send(request.body ?? null);
		watch(1);
	});
}
