/** Milliseconds over which a speed is smoothed. */
const smoothing = 3_000;
/** The least time between two samples. */
const sample = 100;

/** Measures how far and how fast an upload goes. */
export class Meter {
	speed = 0;
	#bytes = 0;
	#sampledBytes = 0;
	#sampledAt: number | undefined;

	get bytes(): number {
		return this.#bytes;
	}

	/** Begins to measure at so many bytes: what was there before has no speed. */
	start(bytes: number, now: number): void {
		this.#bytes = bytes;
		this.#sampledBytes = bytes;
		this.#sampledAt = now;
	}

	moveTo(bytes: number, now: number): void {
		this.#bytes = bytes;
		const elapsed = now - (this.#sampledAt ?? now);
		if (elapsed < sample && this.speed > 0) {
			return;
		}
		if (elapsed > 0) {
			const speed = (Math.max(0, bytes - this.#sampledBytes) / elapsed) * 1000;
			const weight = this.speed === 0 ? 1 : 1 - Math.exp(-elapsed / smoothing);
			this.speed += (speed - this.speed) * weight;
			this.#sampledBytes = bytes;
			this.#sampledAt = now;
		}
	}
}
