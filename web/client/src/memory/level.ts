import type { MemoryEvent } from "../events.js";
import type { Thresholds } from "./config.js";

export type Level = "normal" | "warning" | "critical";

/** How far use must fall below a mark, as a fraction of the limit, to leave its level. */
const hysteresis = 0.05;

const order: readonly Level[] = ["normal", "warning", "critical"];

/**
 * Watches use against the marks. It goes one step at a time, so that a warning
 * comes before each critical, and tells only of levels entered from below.
 */
export class LevelWatch {
	readonly #limit: number;
	/** Where each level begins; nothing is above the last. */
	readonly #marks: readonly number[];
	readonly #entered: (level: Level, event: MemoryEvent) => void;
	/** Where in order it is. */
	#at = 0;
	#used = 0;

	constructor(limit: number, marks: Thresholds, entered: (level: Level, event: MemoryEvent) => void) {
		this.#limit = limit;
		this.#marks = [0, marks.warning, marks.critical, Number.POSITIVE_INFINITY];
		this.#entered = entered;
	}

	get level(): Level {
		return order[this.#at] as Level;
	}

	/** Whoever hears of a level may change use, and have it observed within. */
	observe(usedBytes: number): void {
		this.#used = usedBytes;
		const usage = () => this.#used / this.#limit;
		while (usage() < (this.#marks[this.#at] as number) - hysteresis) {
			this.#at--;
		}
		while (usage() >= (this.#marks[this.#at + 1] as number)) {
			const threshold = this.#marks[++this.#at] as number;
			this.#entered(this.level, { usage: usage(), threshold, usedBytes: this.#used, limitBytes: this.#limit });
		}
	}
}
