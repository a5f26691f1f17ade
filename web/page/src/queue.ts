import { type ProgressEvent, StreamUploadManager, UploadError } from "@streamflow/client";
import { mayRead, reopen } from "./intake.js";
import { type Found, type Item, isMoving, isSame, type Status } from "./item.js";
import { type Adopted, type Journal, randomId } from "./journal.js";
import { comfort, explain } from "./trouble.js";

/** Uploads under way at the same time. */
const streams = 3;
/** Failures in a row before an upload waits for a person: a server may be away for minutes. */
const attempts = 20;

export interface QueueEvents {
	/** Something is to be shown anew. */
	changed(): void;
	ended(item: Item): void;
	/** The server wants a token, or another one. Nothing goes on without. */
	refused(): void;
}

/** All files of the page, and which of them are being uploaded. */
export class Queue {
	items: Item[] = [];
	manager: StreamUploadManager;
	/** Bytes sent from here since the page was opened. */
	moved = 0;
	readonly #endpoint: string;
	readonly #journal: Journal;
	readonly #events: QueueEvents;
	readonly #waiting = new Set<Item>();
	readonly #running = new Set<Item>();
	readonly #known = new Map<string, Item>();
	readonly #prefix = `${Date.now().toString(36)}-${randomId().slice(0, 4)}`;
	#next = 0;
	#held = false;

	constructor(endpoint: string, token: string | null, journal: Journal, events: QueueEvents) {
		this.#endpoint = endpoint;
		this.#journal = journal;
		this.#events = events;
		this.manager = this.#manage(token);
	}

	/** Returns how many are new; one that is in the list already goes on where it stopped. */
	add(files: Found[]): number {
		const before = this.items.length;
		const lost = this.items.filter(isLost);
		for (const found of files) {
			const known = this.#known.get(identity(found)) ?? lost.find((item) => isSame(item, found));
			if (known) {
				this.#recover(known, found.file);
				continue;
			}
			const { path, file, root = null } = found;
			const { size, lastModified } = file;
			this.#journal.keep(this.#insert({ key: this.#key(), path, size, lastModified, file, root }, "waiting"));
		}
		this.#fill();
		return this.items.length - before;
	}

	/** Takes up what was left by a page before this one. */
	async restore(adopted: Adopted[]): Promise<void> {
		const roots = [...new Set(adopted.map(({ root }) => root))];
		const readable = new Map(
			await Promise.all(roots.map(async (root) => [root, root !== null && (await mayRead(root, false))] as const)),
		);
		for (const { key, path, size, lastModified, root, finished } of adopted) {
			const status = finished ? "done" : readable.get(root) ? "waiting" : "lost";
			const item = this.#insert({ key, path, size, lastModified, file: null, root }, status);
			if (finished) {
				Object.assign(item, { sent: size, url: finished.url, checksum: finished.checksum ?? undefined });
			} else if (status === "lost") {
				item.sentence = root ? "Interrupted: allow it to be read again." : "Interrupted: choose this file again.";
			}
		}
		this.#fill();
	}

	pause(item: Item): void {
		if (item.status === "waiting" || isMoving(item)) {
			this.#leave(item, "paused");
			item.upload?.pause();
			this.#fill();
		}
	}

	/** Goes on with what is paused or has failed. False where the file has to be chosen again. */
	async resume(item: Item): Promise<boolean> {
		if (item.status === "lost") {
			if (!item.root || !(await mayRead(item.root, true))) {
				return false;
			}
			for (const other of this.items.filter((other) => isLost(other) && other.root === item.root)) {
				this.#enter(other);
			}
		} else if (item.status === "paused" || item.status === "failed") {
			this.#enter(item);
		}
		this.#fill();
		return true;
	}

	/** Takes files out of the list. What isn't finished the server forgets. */
	remove(items: Iterable<Item>): void {
		const gone = new Set(items);
		this.items = this.items.filter((item) => !gone.has(item));
		for (const item of gone) {
			this.#waiting.delete(item);
			this.#running.delete(item);
			this.#known.delete(identityOf(item));
			this.#journal.forget(item);
			const { upload } = item;
			item.upload = null;
			void upload?.abort();
		}
		this.#events.changed();
		this.#fill();
	}

	/** Begins anew with another token. */
	admit(token: string): void {
		this.#held = false;
		for (const item of this.items) {
			item.upload = null;
		}
		for (const item of [...this.#running]) {
			this.#enter(item);
		}
		this.manager.dispose();
		this.manager = this.#manage(token);
		this.#fill();
	}

	#manage(token: string | null): StreamUploadManager {
		const manager = new StreamUploadManager({
			endpoint: this.#endpoint,
			concurrentStreams: streams,
			retryAttempts: attempts,
			...(token !== null && { accessToken: token }),
		});
		manager.on("statechange", ({ id, status, error }) => {
			const item = [...this.#running].find(({ upload }) => upload?.id === id);
			if (item && (status === "uploading" || status === "retrying")) {
				item.status = status;
				item.sentence = status === "retrying" ? comfort(error) : "";
				this.#events.changed();
			}
		});
		manager.on("warning", (error) => console.warn(error.message));
		return manager;
	}

	#fill(): void {
		while (!this.#held && this.#running.size < streams) {
			const [item] = this.#waiting;
			if (!item) {
				return;
			}
			this.#waiting.delete(item);
			this.#running.add(item);
			void this.#run(item);
		}
	}

	async #run(item: Item): Promise<void> {
		item.status = "uploading";
		this.#events.changed();
		if (item.upload) {
			item.upload.resume();
			return;
		}
		let upload: Item["upload"] = null;
		try {
			const file = item.file ?? (await this.#open(item));
			if (!this.#running.has(item) || item.upload) {
				return; // paused or removed meanwhile, or even begun again
			}
			upload = this.manager.startStreaming(file, undefined, {
				...(item.path.includes("/") && { path: item.path }),
				onProgress: (event) => this.#progress(item, event),
			});
			item.upload = upload;
			const { url, size } = await upload;
			if (item.upload === upload) {
				Object.assign(item, { sent: size, url, upload: null });
				this.#leave(item, "done");
				this.#journal.keep(item);
				this.#events.ended(item);
			}
		} catch (error) {
			if (item.upload === upload && this.#running.has(item)) {
				this.#fail(item, error);
			}
		}
		this.#fill();
	}

	async #open(item: Item): Promise<File> {
		if (!item.root) {
			throw new Error(`${item.path} has to be chosen again`);
		}
		const file = await reopen(item.root, item.path);
		// It may have changed since it was found.
		this.#known.delete(identityOf(item));
		Object.assign(item, { file, size: file.size, lastModified: file.lastModified });
		this.#known.set(identityOf(item), item);
		return file;
	}

	#fail(item: Item, error: unknown): void {
		item.upload = null;
		const known =
			error instanceof UploadError ? error : new UploadError("INVALID_FILE", String(error), { cause: error });
		if (known.status === 401) {
			this.#enter(item);
			this.#held = true;
			this.#events.refused();
			return;
		}
		if (item.root) {
			item.file = null; // it is opened again for the next attempt
		}
		this.#leave(item, "failed");
		item.sentence = explain(known);
		this.#events.ended(item);
	}

	#progress(item: Item, { bytesUploaded, speed, estimatedTimeRemaining }: ProgressEvent): void {
		// The first step of what goes on was made before, and not now.
		const resumed = item.sent === 0 && speed === 0 && item.size > 1 << 20;
		this.moved += resumed ? 0 : Math.max(0, bytesUploaded - item.sent);
		item.sent = bytesUploaded;
		item.speed = speed;
		item.left = estimatedTimeRemaining;
		this.#events.changed();
	}

	#insert(file: Pick<Item, "key" | "path" | "size" | "lastModified" | "file" | "root">, status: Status): Item {
		const item: Item = {
			...file,
			status,
			sent: 0,
			speed: 0,
			left: null,
			sentence: "",
			upload: null,
			url: null,
			checksum: undefined,
		};
		this.items.push(item);
		this.#known.set(identityOf(item), item);
		if (status === "waiting") {
			this.#waiting.add(item);
		}
		this.#events.changed();
		return item;
	}

	#recover(item: Item, file: File): void {
		item.file = file;
		if (item.status === "lost" || item.status === "failed") {
			this.#enter(item);
		}
	}

	#enter(item: Item): void {
		this.#leave(item, "waiting");
		this.#waiting.add(item);
	}

	#leave(item: Item, status: Status): void {
		this.#running.delete(item);
		this.#waiting.delete(item);
		Object.assign(item, { status, speed: 0, left: null, sentence: "" });
		this.#events.changed();
	}

	/** In order of time, which is that of the journal. */
	#key(): string {
		return `${this.#prefix}-${String(this.#next++).padStart(7, "0")}`;
	}
}

const isLost = ({ status }: Item) => status === "lost";
const join = (...parts: (string | number)[]) => parts.join("\0");
const identity = ({ path, file }: Found) => join(path, file.size, file.lastModified);
const identityOf = ({ path, size, lastModified }: Item) => join(path, size, lastModified);
