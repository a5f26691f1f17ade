import type { Upload } from "@streamflow/client";

export type Status = "waiting" | "uploading" | "retrying" | "paused" | "done" | "failed" | "lost";

/** A file as it was found: what tells it from others, and how to read it. */
export interface Found {
	/** `folder/sub/name`, or the name alone. */
	path: string;
	file: File;
	/** What was dropped or chosen and can be opened after a reload, where the browser has that. */
	root?: FileSystemHandle;
}

/** One file in the list, from when it was added until it is removed. */
export interface Item {
	readonly key: string;
	readonly path: string;
	size: number;
	lastModified: number;
	/** Null after a reload, until it is opened again. */
	file: File | null;
	readonly root: FileSystemHandle | null;
	status: Status;
	/** Bytes that are sent. */
	sent: number;
	/** Bytes per second. */
	speed: number;
	/** Seconds, or null where nobody can tell. */
	left: number | null;
	/** What a person should know of its status, or do. */
	sentence: string;
	upload: Upload | null;
	url: string | null;
	/** Undefined: not asked for yet. Null: there is none. */
	checksum: string | null | undefined;
}

/** Not over, and nobody has to do anything. */
export const isOpen = ({ status }: Item) => status !== "done" && status !== "failed";
export const isMoving = ({ status }: Item) => status === "uploading" || status === "retrying";
export const nameOf = ({ path }: { path: string }) => path.slice(path.lastIndexOf("/") + 1);

/** The same file, as far as a browser lets a page tell. */
export function isSame(item: Item, { path, file }: Found): boolean {
	return item.size === file.size && item.lastModified === file.lastModified && nameOf(item) === nameOf({ path });
}
