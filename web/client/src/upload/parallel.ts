import type { UploadError } from "../errors.js";
import { persist } from "../transport/retry.js";
import type { Engine } from "./engine.js";
import { BlobSource } from "./source.js";
import { type Route, Transfer } from "./transfer.js";

/** A part below this size costs more in requests than it gains. */
const minPartBytes = 1 << 20;

/** Sends parts of a file at the same time, and has the server join them, where it does that. */
export class ParallelTransfer {
	readonly #engine: Engine;
	readonly #file: Blob;
	readonly #route: Route;
	#transfers: Transfer[] = [];

	constructor(engine: Engine, file: Blob, route: Route) {
		this.#engine = engine;
		this.#file = file;
		this.#route = route;
	}

	get sent(): number {
		return this.#transfers.reduce((total, { sent }) => total + sent, 0);
	}

	/** As that of a Transfer: the stream entered by its caller is the first part's. */
	async run(signal: AbortSignal): Promise<string> {
		const { streams } = this.#engine;
		const { tus, headers } = this.#route;
		await streams.leaveIfFails(this.#plan(signal));
		const urls = await Promise.all(
			this.#transfers.map(async (transfer, i) => {
				if (i > 0) {
					await streams.enter(signal, true);
				}
				return transfer.run(signal);
			}),
		);
		if (urls.length === 1) {
			return urls[0] as string;
		}
		const final = { ...headers, "Upload-Concat": `final;${urls.join(" ")}` };
		const { url } = await this.#persist(signal, () => tus.create(final, undefined, signal));
		return url;
	}

	/** A part that is there is remembered until all are. */
	forget(): void {
		for (const transfer of this.#transfers) {
			transfer.forget();
		}
	}

	async discard(): Promise<void> {
		await Promise.all(this.#transfers.map((transfer) => transfer.discard()));
	}

	/** Decides on the parts, once. */
	async #plan(signal: AbortSignal): Promise<void> {
		if (this.#transfers.length > 0) {
			return;
		}
		const { extensions } = await this.#persist(signal, () => this.#route.tus.capabilities());
		const wanted = extensions.has("concatenation") ? this.#engine.settings.parallelStreams : 1;
		const { size } = this.#file;
		const parts = Math.max(1, Math.min(wanted, Math.floor(size / minPartBytes)));
		if (parts === 1) {
			this.#transfers = [new Transfer(this.#engine, this.#route)];
			return;
		}
		const bytes = Math.ceil(size / parts);
		const { fingerprint, watcher } = this.#route;
		this.#transfers = Array.from({ length: parts }, (_, i) => {
			const slice = this.#file.slice(i * bytes, (i + 1) * bytes);
			return new Transfer(this.#engine, {
				...this.#route,
				source: new BlobSource(slice, this.#engine.memory),
				headers: { "Upload-Concat": "partial" },
				fingerprint: fingerprint && `${fingerprint}/${i}of${parts}`,
				watcher: { ...watcher, located: () => watcher.located(null) },
			});
		});
	}

	#persist<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
		const failed = (error: UploadError) => this.#route.watcher.attempt(error);
		return persist(this.#engine.settings.retryAttempts, signal, { attempt, failed });
	}
}
