import type { Item } from "./item.js";

/** What is kept of an item for the page that comes after this one. */
export interface Kept {
	key: string;
	/** The tab whose item it is. */
	owner: string;
	path: string;
	size: number;
	lastModified: number;
	/** Key of the file or folder that it is opened by. */
	root: string | null;
	finished: { url: string; checksum: string | null } | null;
}

export interface Adopted extends Omit<Kept, "root"> {
	root: FileSystemHandle | null;
}

/** How many records go into one transaction: more would hold up the page. */
const batch = 400;
/** Milliseconds over which changes are gathered. */
const delay = 200;

/**
 * Keeps the list across reloads, in IndexedDB, which can hold handles of files. A
 * tab takes over what tabs have left that are gone, and nobody else's. Where the
 * browser keeps nothing, neither does this.
 */
export class Journal {
	#database: IDBDatabase | null;
	readonly #owner: string;
	readonly #roots = new Map<FileSystemHandle, string>();
	readonly #changes = new Map<string, Kept | null>();
	#timer: ReturnType<typeof setTimeout> | undefined;

	private constructor(database: IDBDatabase | null, owner: string) {
		this.#database = database;
		this.#owner = owner;
		addEventListener("pagehide", () => this.#flush());
		// Somebody clears what the site has stored, or the disk fails.
		database?.addEventListener("close", () => {
			this.#database = null;
		});
	}

	static async open(name: string): Promise<Journal> {
		const owner = await claimTab();
		return new Journal(await openDatabase(name).catch(() => null), owner);
	}

	/** What this tab had before a reload, and what tabs that are gone had not finished. */
	async adopt(): Promise<Adopted[]> {
		if (!this.#database) {
			return [];
		}
		const alive = await othersAlive(this.#owner);
		const reading = this.#database.transaction(["items", "roots"]);
		const [items, keys, handles] = await Promise.all([
			done<Kept[]>(reading.objectStore("items").getAll()),
			done<IDBValidKey[]>(reading.objectStore("roots").getAllKeys()),
			done<FileSystemHandle[]>(reading.objectStore("roots").getAll()),
		]);
		const roots = new Map(keys.map((key, i) => [key as string, handles[i] as FileSystemHandle]));
		const adopted: Adopted[] = [];
		// Nobody knows who is gone where a page has no locks, which is without TLS.
		const isLeft = (owner: string) => (alive ? !alive.has(owner) : owner === this.#owner);
		for (const kept of items.filter(({ owner }) => isLeft(owner))) {
			if (kept.owner !== this.#owner && kept.finished) {
				this.#change(kept.key, null);
				continue;
			}
			const root = (kept.root !== null && roots.get(kept.root)) || null;
			if (root && kept.root !== null) {
				this.#roots.set(root, kept.root);
			}
			this.#change(kept.key, { ...kept, owner: this.#owner });
			adopted.push({ ...kept, root });
		}
		this.#dropRoots(new Set(items.map(({ root }) => root)), keys);
		return adopted;
	}

	keep({ key, path, size, lastModified, root, status, url, checksum }: Item): void {
		const finished = status === "done" && url !== null ? { url, checksum: checksum ?? null } : null;
		this.#change(key, { key, owner: this.#owner, path, size, lastModified, root: this.#keepRoot(root), finished });
	}

	forget({ key }: Item): void {
		this.#change(key, null);
	}

	#change(key: string, kept: Kept | null): void {
		this.#changes.set(key, kept);
		this.#timer ??= setTimeout(() => this.#flush(), delay);
	}

	#keepRoot(root: FileSystemHandle | null): string | null {
		if (!root || !this.#database) {
			return null;
		}
		let key = this.#roots.get(root);
		if (key === undefined) {
			key = randomId();
			this.#roots.set(root, key);
			this.#database.transaction("roots", "readwrite").objectStore("roots").put(root, key);
		}
		return key;
	}

	#flush(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (!this.#database) {
			this.#changes.clear();
			return;
		}
		const items = this.#database.transaction("items", "readwrite").objectStore("items");
		for (const [key, kept] of [...this.#changes].slice(0, batch)) {
			this.#changes.delete(key);
			kept ? items.put(kept) : items.delete(key);
		}
		if (this.#changes.size > 0) {
			this.#timer = setTimeout(() => this.#flush());
		}
	}

	/** Forgets handles that no item is opened by. */
	#dropRoots(used: ReadonlySet<string | null>, keys: IDBValidKey[]): void {
		const unused = keys.filter((key) => !used.has(key as string));
		const roots = this.#database?.transaction("roots", "readwrite").objectStore("roots");
		for (const key of unused) {
			roots?.delete(key);
		}
	}
}

const sessionKey = "streamflow:tab";
const lockOf = (owner: string) => `streamflow:${owner}`;

export function randomId(): string {
	return Array.from(crypto.getRandomValues(new Uint32Array(3)), (word) => word.toString(36)).join("");
}

/** A name for this tab that it has after a reload, too. */
async function claimTab(): Promise<string> {
	let owner = randomId();
	try {
		const before = sessionStorage.getItem(sessionKey);
		// A tab that was duplicated has the name of the other one.
		if (before && (await hold(before))) {
			return before;
		}
		sessionStorage.setItem(sessionKey, owner);
	} catch {
		owner = "";
	}
	await hold(owner);
	return owner;
}

/** Holds a lock for as long as the page is there. False where somebody else does. */
function hold(owner: string): Promise<boolean> {
	const { locks } = navigator;
	if (!locks) {
		return Promise.resolve(true);
	}
	return new Promise((resolve) => {
		// The page before a reload may take a moment to let go.
		const request = locks.request(lockOf(owner), { signal: AbortSignal.timeout(1_000) }, () => {
			resolve(true);
			return new Promise(() => {});
		});
		request.catch(() => resolve(false));
	});
}

/** Null where that can't be known. */
async function othersAlive(self: string): Promise<ReadonlySet<string> | null> {
	const { locks } = navigator;
	if (!locks) {
		return null;
	}
	const { held = [] } = await locks.query();
	const prefix = lockOf("");
	return new Set(held.map(({ name }) => name?.slice(prefix.length) ?? "").filter((owner) => owner !== self));
}

function openDatabase(name: string): Promise<IDBDatabase> {
	const request = indexedDB.open(name, 1);
	request.onupgradeneeded = () => {
		request.result.createObjectStore("items", { keyPath: "key" });
		request.result.createObjectStore("roots");
	};
	return done(request);
}

function done<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}
