import { filesFromDrop } from "@streamflow/client/drop";
import type { Found } from "./item.js";

declare global {
	interface DataTransferItem {
		getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
	}
	interface FileSystemHandle {
		queryPermission?(descriptor: { mode: "read" }): Promise<PermissionState>;
		requestPermission?(descriptor: { mode: "read" }): Promise<PermissionState>;
	}
	interface Window {
		showOpenFilePicker?(options: { multiple: boolean }): Promise<FileSystemFileHandle[]>;
		showDirectoryPicker?(): Promise<FileSystemDirectoryHandle>;
	}
}

/** Files handed on at once: the list is there before a large folder is read through. */
const batch = 64;
/** Of names in a folder, which come in no order: `scan-2` is before `scan-10`. */
const order = new Intl.Collator("en", { numeric: true });

export interface IntakeEvents {
	found(files: Found[]): void;
	/** Something that can't be read. */
	unreadable(path: string): void;
}

/** Brings in files that are dropped or chosen, with handles to open them again where the browser has those. */
export class Intake {
	readonly #events: IntakeEvents;
	readonly #inputs: Record<"files" | "folder", HTMLInputElement>;

	constructor(inputs: Record<"files" | "folder", HTMLInputElement>, events: IntakeEvents) {
		this.#inputs = inputs;
		this.#events = events;
		for (const input of Object.values(inputs)) {
			input.addEventListener("change", () => {
				this.#found([...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file })));
				input.value = "";
			});
		}
	}

	/** Call it in the drop event itself: what was dropped is gone after it. */
	async drop(transfer: DataTransfer): Promise<void> {
		const items = [...transfer.items].filter(({ kind }) => kind === "file");
		if (window.isSecureContext && items.every((item) => item.getAsFileSystemHandle)) {
			const dropped = items.map((item) => ({ handle: item.getAsFileSystemHandle?.(), file: item.getAsFile() }));
			for (const { handle, file } of dropped) {
				const root = await handle?.catch(() => null);
				if (root) {
					await this.#walk(root);
				} else if (file) {
					this.#found([{ path: file.name, file }]); // from another program, and not on the disk
				}
			}
			return;
		}
		let files: Found[] = [];
		for await (const file of filesFromDrop(transfer, this.#events.unreadable)) {
			files.push(file);
			if (files.length === batch) {
				this.#found(files);
				files = [];
			}
		}
		this.#found(files);
	}

	async choose(what: "files" | "folder"): Promise<void> {
		try {
			const chosen = await pick(what);
			if (!chosen) {
				this.#inputs[what].click();
			}
			for (const root of chosen ?? []) {
				await this.#walk(root);
			}
		} catch (error) {
			// An AbortError is somebody who has thought better of it.
			if ((error as Error).name !== "AbortError") {
				this.#inputs[what].click();
			}
		}
	}

	async #walk(root: FileSystemHandle): Promise<void> {
		let opening: Promise<Found | null>[] = [];
		const settle = async () => {
			const files = await Promise.all(opening);
			opening = [];
			this.#found(files.filter((file) => file !== null));
		};
		for await (const [path, handle] of this.#entries(root, root.name)) {
			opening.push(this.#open(root, path, handle));
			if (opening.length === batch) {
				await settle();
			}
		}
		await settle();
	}

	async *#entries(handle: FileSystemHandle, path: string): AsyncGenerator<[string, FileSystemFileHandle]> {
		if (handle instanceof FileSystemFileHandle) {
			yield [path, handle];
			return;
		}
		const children: FileSystemHandle[] = [];
		try {
			for await (const child of (handle as FileSystemDirectoryHandle).values()) {
				children.push(child);
			}
		} catch {
			this.#events.unreadable(path);
		}
		for (const child of children.sort((a, b) => order.compare(a.name, b.name))) {
			yield* this.#entries(child, `${path}/${child.name}`);
		}
	}

	async #open(root: FileSystemHandle, path: string, handle: FileSystemFileHandle): Promise<Found | null> {
		try {
			return { root, path, file: await handle.getFile() };
		} catch {
			this.#events.unreadable(path);
			return null;
		}
	}

	#found(files: Found[]): void {
		if (files.length > 0) {
			this.#events.found(files);
		}
	}
}

/** Undefined where the browser has no handles to give. */
async function pick(what: "files" | "folder"): Promise<FileSystemHandle[] | undefined> {
	if (what === "files") {
		return window.showOpenFilePicker?.({ multiple: true });
	}
	const folder = await window.showDirectoryPicker?.();
	return folder && [folder];
}

/** Opens a file again by what it was dropped or chosen with. */
export async function reopen(root: FileSystemHandle, path: string): Promise<File> {
	if (root instanceof FileSystemFileHandle) {
		return root.getFile();
	}
	let folder = root as FileSystemDirectoryHandle;
	const [, ...names] = path.split("/");
	for (const name of names.slice(0, -1)) {
		folder = await folder.getDirectoryHandle(name);
	}
	return (await folder.getFileHandle(names.at(-1) ?? "")).getFile();
}

/** Whether a file may be read by its handle. Only a click may ask the user. */
export async function mayRead(root: FileSystemHandle, ask: boolean): Promise<boolean> {
	const permission = ask ? root.requestPermission : root.queryPermission;
	return (await permission?.call(root, { mode: "read" }).catch(() => "denied")) === "granted";
}
