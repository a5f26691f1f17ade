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

/** Lists the files in what was dropped, folders with all that is in them. Call it in the drop event itself. */
export async function* filesFromDrop(transfer: DataTransfer): AsyncGenerator<DroppedFile> {
	// Once the event is over the items are gone, so all entries are taken first.
	const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry());
	for (const entry of entries) {
		if (entry) {
			yield* walk(entry);
		}
	}
}

async function* walk(entry: FileSystemEntry): AsyncGenerator<DroppedFile> {
	if (entry.isFile) {
		const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
		yield { file, path: entry.fullPath.replace(/^\//, "") };
		return;
	}
	const reader = (entry as FileSystemDirectoryEntry).createReader();
	const next = () => new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
	// A reader gives a hundred or so at a time, and nothing at the end.
	for (let batch = await next(); batch.length > 0; batch = await next()) {
		for (const child of batch) {
			yield* walk(child);
		}
	}
}
