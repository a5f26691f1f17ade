import { UploadError } from "../errors.js";

const base = 250;
const cap = 15_000;
/** Failures go on for so long at least before an upload gives up: a server takes its time to restart. */
const patience = 45_000;

/** What is to be done until it works, or there is no hope. */
export interface Attempts<T> {
	/** Calls `progressed` where a failure that follows is a new one. */
	attempt(progressed: () => void): Promise<T>;
	/** Says what an error means; throws what ends it all. */
	diagnose?(error: unknown): Promise<unknown>;
	/** Another attempt follows. */
	failed(error: UploadError): void;
}

/**
 * Tries again, up to so many failures in a row, and for a while at least. It is the
 * one place that does. Offline no failure counts.
 */
export async function persist<T>(limit: number, signal: AbortSignal, attempts: Attempts<T>): Promise<T> {
	let failures = 0;
	let first = 0;
	const reset = () => {
		failures = 0;
	};
	const wait = (error: unknown) => {
		if (!(error instanceof UploadError && error.transient) || limit === 0) {
			throw error;
		}
		if (!navigator.onLine) {
			return cap;
		}
		const now = Date.now();
		first = failures++ === 0 ? now : first;
		const lasted = now - first;
		if (failures >= limit && lasted >= patience) {
			const tries = `Gave up after ${failures} failures in ${Math.round(lasted / 1000)} s.`;
			throw new UploadError(error.code, `${tries} ${error.message}`, { ...error, cause: error });
		}
		// Full jitter, so that clients which failed together don't return together.
		return Math.max(Math.random() * Math.min(cap, base * 2 ** (failures - 1)), error.retryAfter);
	};
	for (;;) {
		try {
			return await attempts.attempt(reset);
		} catch (error) {
			const failure = await (attempts.diagnose?.(error) ?? error);
			signal.throwIfAborted();
			const delay = wait(failure);
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
