/** Milliseconds over which a speed is smoothed. */
const smoothing = 3_000;
/** The least time between two samples. */
const sample = 100;

/** Measures how fast an upload goes. */
export class Meter {
	speed = 0;
	#bytes = 0;
	/** Not started: no time has passed. */
	#at = Number.POSITIVE_INFINITY;

	/** Begins to measure at so many bytes: what was there before has no speed. */
	start(bytes: number, now: number): void {
		this.#bytes = bytes;
		this.#at = now;
	}

	moveTo(bytes: number, now: number): void {
		const elapsed = now - this.#at;
		if (elapsed >= sample || (elapsed > 0 && this.speed === 0)) {
			const speed = (Math.max(0, bytes - this.#bytes) / elapsed) * 1000;
			const weight = this.speed === 0 ? 1 : 1 - Math.exp(-elapsed / smoothing);
			this.speed += (speed - this.speed) * weight;
			this.start(bytes, now);
		}
	}
}
