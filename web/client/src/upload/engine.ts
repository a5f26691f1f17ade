import type { Summer } from "../checksum/summer.js";
import type { Settings } from "../config.js";
import type { UploadError } from "../errors.js";
import type { MemoryManager } from "../memory/manager.js";
import type { ResumeStore } from "../resume/store.js";
import type { Tus } from "../transport/tus.js";
import type { Streams } from "./streams.js";

/** What the uploads of one manager share, and the server that this one goes to. */
export interface Engine {
	settings: Settings;
	memory: MemoryManager;
	streams: Streams;
	/** Loaded when it is first asked for: few uploads send checksums. */
	summer(): Promise<Summer>;
	store: ResumeStore;
	tus: Tus;
	/** Ends everything. */
	signal: AbortSignal;
	warn(error: UploadError): void;
}
