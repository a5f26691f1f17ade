/** The state of memory, as `/api/v1/memory` has it; the part that is shown. */
export interface ServerMemory {
	level: "normal" | "warning" | "critical";
	thresholds: { warning: number; critical: number };
	limit_bytes: number;
	allocated_bytes: number;
	used_bytes: number;
	cached_bytes: number;
	peak_bytes: number;
	waiters: number;
	leaks: number;
	leaked_bytes: number;
	kinds: Record<string, { active: number; bytes: number }>;
	process?: { budget_bytes: number; rss_bytes: number; peak_rss_bytes: number };
}

export interface LevelChange {
	from: string;
	to: string;
	usage: number;
	time: string;
}

export interface Leak {
	kind: string;
	bytes: number;
	count: number;
}

/** `silent` is there, and tells nothing of itself. */
export type Connection = "waiting" | "connected" | "silent" | "away";

export interface ServerEvents {
	connection(state: Connection): void;
	memory(state: ServerMemory): void;
	level(change: LevelChange): void;
	leak(leak: Leak): void;
	/** It wants a token, or another one. */
	refused(): void;
}

const tokenKey = "streamflow:token";
/** Milliseconds to wait before a connection is tried again, doubled each time. */
const patience = { least: 1_000, most: 15_000 };
/** Milliseconds without an event after which the server counts as away: there is one each second. */
const silence = 5_000;
/** Checksums asked for at the same time. */
const questions = 2;

/** What the page asks the server beside uploads. */
export class Server {
	readonly #root: URL;
	readonly #events: ServerEvents;
	#token = recall();
	#stream = new AbortController();
	#asking = 0;

	/** `root` is where the page is. */
	constructor(root: string, events: ServerEvents) {
		this.#root = new URL("./", root);
		this.#events = events;
		addEventListener("offline", () => {
			this.#stream.abort();
			events.connection("away");
		});
		addEventListener("online", () => void this.listen());
	}

	get token(): string | null {
		return this.#token;
	}

	set token(token: string) {
		this.#token = token;
		try {
			sessionStorage.setItem(tokenKey, token);
		} catch {
			// It is known until a reload, then.
		}
	}

	/** Whether the server takes a token; throws where it can't be asked. */
	async takes(token: string): Promise<boolean> {
		const url = new URL("api/v1/memory", this.#root);
		const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
		return answer.status !== 401;
	}

	/** Follows the events of the server from now on, with the token that is known now. */
	async listen(): Promise<void> {
		this.#stream.abort();
		this.#stream = new AbortController();
		const { signal } = this.#stream;
		for (let wait = patience.least; !signal.aborted; wait = Math.min(2 * wait, patience.most)) {
			const state = await this.#follow(signal, () => {
				wait = patience.least;
			}).catch((): Connection => "away");
			if (signal.aborted) {
				return;
			}
			this.#events.connection(state);
			if (state === "waiting") {
				this.#events.refused();
				return;
			}
			await pause(wait, signal);
		}
	}

	/** The checksum of a finished upload, as the server has it; null where there is none. Undefined: ask later. */
	async checksum(url: string): Promise<string | null | undefined> {
		if (this.#asking >= questions) {
			return undefined;
		}
		this.#asking++;
		try {
			const headers = { "Want-Repr-Digest": "crc32c=1", ...this.#authorization() };
			const answer = await fetch(url, { method: "HEAD", headers, cache: "no-store" });
			const digest = answer.headers.get("Repr-Digest")?.match(/crc32c=:([^:]+):/)?.[1];
			return digest ? `CRC-32C ${hex(digest)}` : null;
		} catch {
			return null;
		} finally {
			this.#asking--;
		}
	}

	/** Reads events until the stream ends, and returns what that means. */
	async #follow(signal: AbortSignal, begun: () => void): Promise<Connection> {
		const url = new URL("api/v1/events", this.#root);
		const answer = await fetch(url, { headers: this.#authorization(), signal, cache: "no-store" });
		if (answer.status === 401) {
			return "waiting";
		}
		if (!answer.ok || !answer.body) {
			return answer.status >= 500 && answer.status !== 503 ? "away" : "silent";
		}
		begun();
		this.#events.connection("connected");
		let text = "";
		const decoder = new TextDecoderStream() as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>;
		const reader = answer.body.pipeThrough(decoder).getReader();
		const next = () => Promise.race([reader.read(), pause(silence, signal)]);
		for (let part = await next(); part && !part.done; part = await next()) {
			const events = (text + part.value).split("\n\n");
			text = events.pop() ?? "";
			for (const event of events) {
				this.#tell(event);
			}
		}
		await reader.cancel();
		return "away";
	}

	#tell(event: string): void {
		const [, name, data] = event.match(/^event: (\w+)\ndata: (.*)$/s) ?? [];
		switch (name) {
			case "memory":
			case "level":
			case "leak":
				this.#events[name](JSON.parse(data ?? ""));
		}
	}

	#authorization(): Record<string, string> {
		return this.#token === null ? {} : { Authorization: `Bearer ${this.#token}` };
	}
}

function recall(): string | null {
	try {
		return sessionStorage.getItem(tokenKey);
	} catch {
		return null;
	}
}

function hex(base64: string): string {
	return [...atob(base64)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const end = () => {
			clearTimeout(timer);
			signal.removeEventListener("abort", end);
			resolve();
		};
		const timer = setTimeout(end, milliseconds);
		signal.addEventListener("abort", end);
	});
}
