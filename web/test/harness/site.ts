import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { PassThrough, Transform } from "node:stream";
import { beforeEach } from "vitest";
import { root } from "./paths.js";
import { atEnd } from "./scope.js";
import { Streamflow } from "./streamflow.js";

type Handler = (incoming: IncomingMessage, answer: ServerResponse) => boolean | Promise<boolean>;

const types: Record<string, string> = { ".js": "text/javascript", ".html": "text/html", ".map": "application/json" };

/**
 * A web site with the built packages and the pages of the tests. What lies below
 * /files/ is passed on to a server for uploads, so page and server are one origin.
 */
export class Site {
	url = "";
	/** Where /files/ leads. */
	target: string;
	/** Answers in place of the target where it returns true. */
	intercept: Handler = () => false;
	/** Bytes a second that a body gets through with, so that an upload has a middle. */
	pace = Number.POSITIVE_INFINITY;
	/** The Content-Security-Policy of pages. */
	policy = "";
	/** Pages and scripts made by the test, by path. */
	readonly made = new Map<string, string>();
	/** Method, path and headers of what went to /files/. */
	readonly requests: { method: string; path: string; headers: IncomingMessage["headers"] }[] = [];

	readonly #server: Server;

	private constructor(target: string) {
		this.target = target;
		this.#server = createServer((incoming, answer) => void this.#serve(incoming, answer));
	}

	static async start(target: string): Promise<Site> {
		const site = new Site(target);
		const server = site.#server;
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		site.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
		atEnd(() => {
			site.drop();
			server.close();
		});
		return site;
	}

	/** Breaks all connections. */
	drop(): void {
		this.#server.closeAllConnections();
	}

	/** Behaves again as at the start. */
	reset(): void {
		this.intercept = () => false;
		this.policy = "";
		this.pace = Number.POSITIVE_INFINITY;
		this.requests.length = 0;
	}

	async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
		const path = new URL(incoming.url ?? "/", this.url).pathname;
		if (!path.startsWith("/files")) {
			this.#page(path, answer);
			return;
		}
		this.requests.push({ method: incoming.method ?? "", path, headers: incoming.headers });
		if (!(await this.intercept(incoming, answer))) {
			this.#pass(incoming, answer);
		}
	}

	#page(path: string, answer: ServerResponse): void {
		const file = join(root, "web", normalize(path === "/" ? "/test/pages/blank.html" : path));
		const made = this.made.get(path);
		if (made === undefined && !existsSync(file)) {
			answer.writeHead(404).end();
			return;
		}
		const headers: Record<string, string> = { "Content-Type": types[extname(path)] ?? "text/html" };
		if (this.policy) {
			headers["Content-Security-Policy"] = this.policy;
		}
		answer.writeHead(200, headers).end(made ?? readFileSync(file));
	}

	#paced(): Transform {
		return new Transform({
			transform: (bytes: Buffer, _, pass) => {
				const milliseconds = (bytes.length / this.pace) * 1000;
				setTimeout(() => pass(null, bytes), milliseconds);
			},
		});
	}

	/** Passes a request on. A connection that breaks on one side breaks on the other. */
	#pass(incoming: IncomingMessage, answer: ServerResponse): void {
		const { method, url, headers } = incoming;
		const onward = request(
			new URL(url ?? "", this.target),
			// With the host that the browser asked for: a server may put it into Location.
			{ method: method ?? "GET", headers },
			(reply) => {
				answer.writeHead(reply.statusCode ?? 502, reply.headers);
				reply.pipe(answer);
			},
		);
		onward.on("error", () => answer.destroy());
		incoming.on("error", () => onward.destroy());
		answer.on("close", () => onward.destroy());
		incoming.pipe(Number.isFinite(this.pace) ? this.#paced() : new PassThrough()).pipe(onward);
	}
}

/** A server and a site before it for all tests of a file, each of which finds the site as at the start. */
export async function startSite(): Promise<{ server: Streamflow; site: Site }> {
	const server = await Streamflow.start();
	const site = await Site.start(server.url);
	beforeEach(() => site.reset());
	return { server, site };
}
