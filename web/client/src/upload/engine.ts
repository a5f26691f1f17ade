import type { Summer } from "../checksum/summer.js";
import type { Settings } from "../config.js";
import { UploadError } from "../errors.js";
import type { Emitter, ManagerEvents } from "../events.js";
import type { MemoryManager } from "../memory/manager.js";
import type { Capabilities } from "../transport/tus.js";
import type { Streams } from "./streams.js";

/** What the uploads of one manager share. */
export interface Engine {
	settings: Settings;
	events: Emitter<ManagerEvents>;
	memory: MemoryManager;
	streams: Streams;
	/** Made when the first checksum is asked for. */
	summer?: Summer;
	/** What is known of servers, by endpoint. */
	servers: Map<string, Promise<Capabilities>>;
	/** Ends everything. */
	signal: AbortSignal;
	warn(error: UploadError): void;
}

/** Waits for a part of the client that is loaded when it is first needed. */
export async function load<T>(part: Promise<T>): Promise<T> {
	try {
		return await part;
	} catch (cause) {
		throw new UploadError("NETWORK_ERROR", `A part of the client can't be loaded (${cause}): check the connection.`, {
			cause,
			transient: true,
		});
	}
}
