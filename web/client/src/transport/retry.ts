import { UploadError } from "../errors.js";

const base = 250;
const cap = 15_000;
/** Failures go on for so long at least before an upload gives up: a server takes its time to restart. */
const patience = 45_000;

/** Decides after each failure how long to wait, or to give up. */
export class Backoff {
	readonly #limit: number;
	#failures = 0;
	#first = 0;

	constructor(limit: number) {
		this.#limit = limit;
	}

	/** Forgets the failures: there was progress. */
	reset(): void {
		this.#failures = 0;
	}

	/** Milliseconds to wait after a failure, or throws the error to end with. Offline no failure counts. */
	failed(error: unknown, now: number): number {
		if (!(error instanceof UploadError && error.transient) || this.#limit === 0) {
			throw error;
		}
		if (!navigator.onLine) {
			return cap;
		}
		this.#first = this.#failures === 0 ? now : this.#first;
		this.#failures++;
		const lasted = now - this.#first;
		if (this.#failures >= this.#limit && lasted >= patience) {
			const tries = `Gave up after ${this.#failures} failures in ${Math.round(lasted / 1000)} s.`;
			throw new UploadError(error.code, `${tries} ${error.message}`, { ...error, cause: error });
		}
		// Full jitter, so that clients which failed together don't return together.
		const delay = Math.random() * Math.min(cap, base * 2 ** (this.#failures - 1));
		return Math.max(delay, error.retryAfter);
	}
}

/** What is to be done until it works, or there is no hope. */
export interface Attempts<T> {
	/** Calls `progressed` where a failure that follows is a new one. */
	attempt(progressed: () => void): Promise<T>;
	/** Says what an error means; throws what ends it all. */
	diagnose?(error: unknown): Promise<unknown>;
	/** Another attempt follows. */
	failed(error: UploadError): void;
}

/** Tries again, up to so many failures in a row. It is the one place that does. */
export async function persist<T>(limit: number, signal: AbortSignal, attempts: Attempts<T>): Promise<T> {
	const backoff = new Backoff(limit);
	for (;;) {
		try {
			return await attempts.attempt(() => backoff.reset());
		} catch (error) {
			signal.throwIfAborted();
			const failure = attempts.diagnose ? await attempts.diagnose(error) : error;
			const delay = backoff.failed(failure, Date.now());
			attempts.failed(failure as UploadError);
			await pause(delay, signal);
		}
	}
}

/** Waits, but no longer than until the browser is online again. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		signal.throwIfAborted();
		const settle = (end: () => void) => {
			clearTimeout(timer);
			removeEventListener("online", online);
			signal.removeEventListener("abort", aborted);
			end();
		};
		const online = () => settle(resolve);
		const aborted = () => settle(() => reject(signal.reason));
		const timer = setTimeout(online, milliseconds);
		addEventListener("online", online);
		signal.addEventListener("abort", aborted);
	});
}
