import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { atEnd } from "./scope.js";

/** Fewer than fit between the mark at which a server refuses uploads and the one at which it accepts nobody. */
const batch = 5;

/** Connections that say nothing and keep a server's memory full until they leave. */
export class Crowd {
	readonly #url: string;
	readonly #sockets: Socket[] = [];
	readonly #leaving = new AbortController();
	#staying: Promise<void> = Promise.resolve();

	private constructor(url: string) {
		this.#url = url;
	}

	/** Comes to the server at a URL, in such numbers that it takes no more uploads. */
	static async at(url: string): Promise<Crowd> {
		const crowd = new Crowd(url);
		atEnd(() => crowd.leave());
		await crowd.#fill();
		crowd.#staying = crowd.#stay();
		return crowd;
	}

	async leave(): Promise<void> {
		this.#leaving.abort();
		await this.#staying;
		for (const socket of this.#sockets.splice(0)) {
			socket.destroy();
		}
	}

	/** A server sends those away who say nothing for long; others take their places. */
	async #stay(): Promise<void> {
		while (!this.#leaving.signal.aborted) {
			await this.#fill();
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	}

	async #fill(): Promise<void> {
		const { hostname, port } = new URL(this.#url);
		while (!(await this.#isRefused())) {
			const more = Array.from({ length: batch }, () => connect(Number(port), hostname).on("error", () => {}));
			this.#sockets.push(...more);
			await Promise.all(more.map((socket) => once(socket, "connect")));
		}
	}

	/** Asks on a connection of its own: it is accepted behind those that were there before. */
	async #isRefused(): Promise<boolean> {
		const headers = { "Tus-Resumable": "1.0.0", "Upload-Length": "1" };
		const asked = request(this.#url, { method: "POST", headers, agent: false }).end();
		const [answer]: IncomingMessage[] = await once(asked, "response");
		answer?.resume();
		return answer?.statusCode === 503;
	}
}
