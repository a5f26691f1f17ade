/**
 * The files in what was dropped on a page, folders included.
 *
 * @packageDocumentation
 */

/** A file with its path below the folder that was dropped. */
export interface DroppedFile {
	file: File;
	/** `folder/sub/name`, or the name alone. */
	path: string;
}

/**
 * Lists the files in what was dropped, folders with all that is in them. Call it in the
 * drop event itself. What can't be read ends it, unless `unreadable` is there to hear of its path.
 */
export async function* filesFromDrop(
	transfer: DataTransfer,
	unreadable?: (path: string) => unknown,
): AsyncGenerator<DroppedFile> {
	// Once the event is over the items are gone, so all entries are taken first.
	const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry());
	for (const entry of entries) {
		if (entry) {
			yield* walk(entry, unreadable);
		}
	}
}

type Read<T> = (resolve: (read: T) => void, reject: (error: unknown) => void) => void;

async function* walk(entry: FileSystemEntry, unreadable?: (path: string) => unknown): AsyncGenerator<DroppedFile> {
	const path = entry.fullPath.replace(/^\//, "");
	const attempt = <T>(read: Read<T>) =>
		new Promise<T>(read).catch((error: unknown) => {
			if (!unreadable) {
				throw error;
			}
			unreadable(path);
			return null;
		});
	if (entry.isFile) {
		const file = await attempt<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
		if (file) {
			yield { file, path };
		}
		return;
	}
	const reader = (entry as FileSystemDirectoryEntry).createReader();
	const next = () => attempt<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
	// A reader gives a hundred or so at a time, and nothing at the end.
	for (let batch = await next(); batch && batch.length > 0; batch = await next()) {
		for (const child of batch) {
			yield* walk(child, unreadable);
		}
	}
}
