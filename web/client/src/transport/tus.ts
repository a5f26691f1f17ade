import type { AccessToken } from "../config.js";
import { UploadError } from "../errors.js";
import { malformed, refusal } from "./refusal.js";
import { type Answer, type Request, send } from "./request.js";

/** What a server can do, as its OPTIONS tells. */
export interface Capabilities {
	/** Names of extensions: `creation-with-upload`, … */
	extensions: ReadonlySet<string>;
	checksums: ReadonlySet<string>;
	/** Bytes, or null where there is no limit. */
	maxSize: number | null;
	/** Takes chunks with Content-Encoding: gzip. */
	gzip: boolean;
}

export interface Connection {
	endpoint: string;
	accessToken: AccessToken | undefined;
	headers: Record<string, string>;
	stallTimeout: number;
	/** Ends what is asked for all uploads. */
	signal: AbortSignal;
}

export interface Body {
	bytes: NonNullable<Request["body"]>;
	headers: Record<string, string>;
	/** Bytes of the upload that the body stands for. */
	length: number;
	onSent: (bytes: number) => void;
}

export interface Position {
	offset: number;
	/** When the server forgets the upload, in milliseconds since the epoch. */
	expires: number | null;
}

interface TusRequest extends Pick<Request, "doing" | "method" | "url" | "signal"> {
	headers?: Record<string, string>;
	body?: Body | undefined;
}

/** The client side of tus 1.0 with its extensions, a method for each request. It doesn't retry. */
export class Tus {
	readonly #connection: Connection;
	readonly #servers: Map<string, Promise<Capabilities>>;

	/** `servers` has by endpoint what is known already. */
	constructor(connection: Connection, servers: Map<string, Promise<Capabilities>>) {
		this.#connection = connection;
		this.#servers = servers;
	}

	/** Asked once for all uploads; after a failure again. */
	capabilities(): Promise<Capabilities> {
		const { endpoint } = this.#connection;
		const known =
			this.#servers.get(endpoint) ??
			this.#options().catch((error: unknown) => {
				this.#servers.delete(endpoint);
				throw error;
			});
		this.#servers.set(endpoint, known);
		return known;
	}

	/** Creates an upload, with a body where given. */
	async create(
		headers: Record<string, string>,
		body: Body | undefined,
		signal: AbortSignal,
	): Promise<Position & { url: string }> {
		const { endpoint: url } = this.#connection;
		const answer = accepted(
			await this.#send({ doing: "Creating the upload", method: "POST", url, headers, body, signal }),
		);
		const location = answer.header("Location");
		if (answer.status !== 201 || !location || !URL.canParse(location, answer.url)) {
			throw malformed(answer, `The answer is ${answer.status} with ${location ?? "no"} Location.`);
		}
		const offset = body ? position(answer, 0, body.length).offset : 0;
		return { url: new URL(location, answer.url).href, offset, expires: expires(answer) };
	}

	/** Where an upload stands; null where the server doesn't know it any more. */
	async head(url: string, size: number | null, signal: AbortSignal): Promise<Position | null> {
		const answer = await this.#send({ doing: "Asking where the upload stands", method: "HEAD", url, signal });
		return isGone(answer.status) ? null : position(accepted(answer), 0, size ?? Number.POSITIVE_INFINITY);
	}

	/** Appends a body at an offset, and returns the new one. */
	async patch(url: string, offset: number, body: Body, signal: AbortSignal): Promise<Position> {
		const headers = { "Upload-Offset": String(offset) };
		const answer = await this.#send({ doing: "Sending a chunk", method: "PATCH", url, headers, body, signal });
		return position(accepted(answer), offset, offset + body.length);
	}

	/** Has the server forget an upload. One that it doesn't know is fine. */
	async terminate(url: string, signal: AbortSignal): Promise<void> {
		const { extensions } = await this.capabilities();
		if (extensions.has("termination")) {
			const answer = await this.#send({ doing: "Ending the upload", method: "DELETE", url, signal });
			if (!isGone(answer.status)) {
				accepted(answer);
			}
		}
	}

	async #options(): Promise<Capabilities> {
		const { endpoint: url, signal } = this.#connection;
		const answer = await this.#send({ doing: "Asking what the server can do", method: "OPTIONS", url, signal });
		// A server may not know OPTIONS and take uploads all the same; a busy one is asked again.
		if (answer.status >= 500 || [401, 403, 429].includes(answer.status)) {
			throw refusal(answer);
		}
		const maxSize = answer.header("Tus-Max-Size");
		return {
			extensions: list(answer.header("Tus-Extension")),
			checksums: list(answer.header("Tus-Checksum-Algorithm")),
			maxSize: isNumber(maxSize) ? Number(maxSize) : null,
			gzip: list(answer.header("Accept-Encoding")).has("gzip"),
		};
	}

	async #send({ headers, body, ...request }: TusRequest): Promise<Answer> {
		const { accessToken, headers: always, stallTimeout } = this.#connection;
		const token = await this.#token(request.url);
		const attempt = (authorization: string | undefined) =>
			send({
				...request,
				headers: {
					...always,
					...(authorization && { Authorization: `Bearer ${authorization}` }),
					"Tus-Resumable": "1.0.0",
					...(body && { "Content-Type": "application/offset+octet-stream" }),
					...headers,
					...body?.headers,
				},
				body: body?.bytes,
				onSent: body?.onSent,
				stallTimeout,
			});
		const answer = await attempt(token);
		if (answer.status === 401 && typeof accessToken === "function") {
			const fresh = await this.#token(request.url);
			return fresh === token ? answer : attempt(fresh);
		}
		return answer;
	}

	/** The token goes to the endpoint's own origin only, wherever a Location points. */
	async #token(url: string): Promise<string | undefined> {
		const { accessToken, endpoint } = this.#connection;
		if (accessToken === undefined || new URL(url).origin !== new URL(endpoint).origin) {
			return undefined;
		}
		const token = typeof accessToken === "string" ? accessToken : await ask(accessToken);
		if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
			throw new UploadError("INVALID_TOKEN", "config.accessToken must give visible ASCII characters: sign in again.");
		}
		return token;
	}
}

async function ask(token: () => string | Promise<string>): Promise<string> {
	try {
		return await token();
	} catch (cause) {
		throw new UploadError("INVALID_TOKEN", `config.accessToken failed: ${cause}`, { cause });
	}
}

/** The server doesn't know the upload any more. */
export function isGone(status: number | undefined): boolean {
	return status === 404 || status === 410;
}

function accepted(answer: Answer): Answer {
	if (answer.status >= 300) {
		throw refusal(answer);
	}
	return answer;
}

/** Reads Upload-Offset, and doubts what can't be. */
function position(answer: Answer, from: number, to: number): Position {
	const value = answer.header("Upload-Offset");
	const offset = Number(value);
	if (!isNumber(value) || offset < from || offset > to) {
		throw malformed(
			answer,
			`The answer has ${value ?? "nothing"} for Upload-Offset, which can't be: ${from} to ${to} can.`,
		);
	}
	return { offset, expires: expires(answer) };
}

function isNumber(value: string | null): value is string {
	return /^\d+$/.test(value ?? "");
}

function expires(answer: Answer): number | null {
	return Date.parse(answer.header("Upload-Expires") ?? "") || null;
}

function list(header: string | null): ReadonlySet<string> {
	return new Set((header ?? "").split(",").map((name) => name.trim().toLowerCase()));
}

/** Upload-Metadata of tus: keys, each with its value in base64 of UTF-8. */
export function encodeMetadata(metadata: Record<string, string>): string {
	return Object.entries(metadata)
		.map(([key, value]) => `${key} ${btoa(String.fromCharCode(...new TextEncoder().encode(value)))}`)
		.join(",");
}
