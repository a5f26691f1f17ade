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

/** The client side of tus 1.0 with its extensions, a method for each request. It doesn't retry. */
export class Tus {
	readonly #connection: Connection;
	readonly #servers: Map<string, Promise<Capabilities>>;

	/** `servers` has by endpoint what is known already. */
	constructor(connection: Connection, servers: Map<string, Promise<Capabilities>>) {
		this.#connection = connection;
		this.#servers = servers;
	}

	get endpoint(): string {
		return this.#connection.endpoint;
	}

	/** Asked once for all uploads; after a failure again. */
	capabilities(): Promise<Capabilities> {
		const { endpoint } = this;
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
		const doing = "Creating the upload";
		const answer = await this.#send("POST", this.endpoint, signal, headers, body);
		if (answer.status >= 300) {
			throw refusal(answer, doing);
		}
		if (answer.status !== 201) {
			throw malformed(answer, doing, `The answer is ${answer.status} instead of 201.`);
		}
		const location = answer.header("Location");
		if (!location || !URL.canParse(location, answer.url)) {
			throw malformed(answer, doing, "The answer has no usable Location.");
		}
		const offset = body ? position(answer, doing, 0, body.length).offset : 0;
		return { url: new URL(location, answer.url).href, offset, expires: expires(answer) };
	}

	/** Where an upload stands; null where the server doesn't know it any more. */
	async head(url: string, size: number | null, signal: AbortSignal): Promise<Position | null> {
		const doing = "Asking where the upload stands";
		const answer = await this.#send("HEAD", url, signal);
		if (answer.status === 404 || answer.status === 410) {
			return null;
		}
		if (answer.status >= 300) {
			throw refusal(answer, doing);
		}
		return position(answer, doing, 0, size ?? Number.MAX_SAFE_INTEGER);
	}

	/** Appends a body at an offset, and returns the new one. */
	async patch(url: string, offset: number, body: Body, signal: AbortSignal): Promise<Position> {
		const doing = "Sending a chunk";
		const headers = { "Upload-Offset": String(offset) };
		const answer = await this.#send("PATCH", url, signal, headers, body);
		if (answer.status >= 300) {
			throw refusal(answer, doing);
		}
		return position(answer, doing, offset, offset + body.length);
	}

	/** Joins finished parts. */
	async concatenate(urls: string[], metadata: Record<string, string>, signal: AbortSignal): Promise<string> {
		const headers = { ...metadata, "Upload-Concat": `final;${urls.join(" ")}` };
		return (await this.create(headers, undefined, signal)).url;
	}

	/** Has the server forget an upload. One that it doesn't know is fine. */
	async terminate(url: string, signal: AbortSignal): Promise<void> {
		const { extensions } = await this.capabilities();
		if (extensions.has("termination")) {
			await this.#send("DELETE", url, signal);
		}
	}

	async #options(): Promise<Capabilities> {
		const answer = await this.#send("OPTIONS", this.endpoint, this.#connection.signal);
		// A server may not know OPTIONS and take uploads all the same; a busy one is asked again.
		if (answer.status >= 500 || [401, 403, 429].includes(answer.status)) {
			throw refusal(answer, "Asking what the server can do");
		}
		const maxSize = answer.header("Tus-Max-Size");
		return {
			extensions: list(answer.header("Tus-Extension")),
			checksums: list(answer.header("Tus-Checksum-Algorithm")),
			maxSize: maxSize && /^\d+$/.test(maxSize) ? Number(maxSize) : null,
			gzip: list(answer.header("Accept-Encoding")).has("gzip"),
		};
	}

	async #send(method: Request["method"], url: string, signal: AbortSignal, headers = {}, body?: Body): Promise<Answer> {
		const token = await this.#token(url);
		const attempt = (authorization: string | undefined) =>
			send({
				method,
				url,
				headers: {
					...this.#connection.headers,
					...(authorization && { Authorization: `Bearer ${authorization}` }),
					"Tus-Resumable": "1.0.0",
					...(body && { "Content-Type": "application/offset+octet-stream" }),
					...headers,
					...body?.headers,
				},
				body: body?.bytes,
				onSent: body?.onSent,
				signal,
				stallTimeout: this.#connection.stallTimeout,
			});
		const answer = await attempt(token);
		if (answer.status === 401 && typeof this.#connection.accessToken === "function") {
			const fresh = await this.#token(url);
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
			throw new UploadError(
				"INVALID_TOKEN",
				"config.accessToken must give a token of visible ASCII characters: sign in again.",
			);
		}
		return token;
	}
}

async function ask(token: () => string | Promise<string>): Promise<string> {
	try {
		return await token();
	} catch (cause) {
		throw new UploadError("INVALID_TOKEN", `config.accessToken failed: ${String(cause)}`, { cause });
	}
}

/** Reads Upload-Offset, and doubts what can't be. */
function position(answer: Answer, doing: string, from: number, to: number): Position {
	const value = answer.header("Upload-Offset");
	if (value === null || !/^\d+$/.test(value)) {
		throw malformed(
			answer,
			doing,
			`The answer has ${value === null ? "no Upload-Offset" : `"${value}" for Upload-Offset`}.`,
		);
	}
	const offset = Number(value);
	if (offset < from || offset > to) {
		throw malformed(
			answer,
			doing,
			`The server says it has ${offset} bytes, which can't be: ${from} to ${to} would do.`,
		);
	}
	return { offset, expires: expires(answer) };
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
