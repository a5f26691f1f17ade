import type { MemoryEvent } from "../events.js";

export type Level = "normal" | "warning" | "critical";

/** How far use must fall below a mark, as a fraction of the limit, to leave its level. */
const hysteresis = 0.05;

const order: readonly Level[] = ["normal", "warning", "critical"];

/**
 * Watches use against the marks. It goes one step at a time, so that a warning
 * comes before each critical, and tells only of levels entered from below.
 */
export class LevelWatch {
	level: Level = "normal";
	readonly #limit: number;
	readonly #marks: { warning: number; critical: number };
	readonly #entered: (level: "warning" | "critical", event: MemoryEvent) => void;

	constructor(
		limit: number,
		marks: { warning: number; critical: number },
		entered: (level: "warning" | "critical", event: MemoryEvent) => void,
	) {
		this.#limit = limit;
		this.#marks = marks;
		this.#entered = entered;
	}

	observe(used: number): void {
		const usage = used / this.#limit;
		while (this.level !== "normal" && usage < this.#marks[this.level] - hysteresis) {
			this.level = order[order.indexOf(this.level) - 1] as Level;
		}
		for (const level of ["warning", "critical"] as const) {
			const below = order.indexOf(this.level) < order.indexOf(level);
			if (below && usage >= this.#marks[level]) {
				this.level = level;
				const event = { usage, threshold: this.#marks[level], usedBytes: used, limitBytes: this.#limit };
				this.#entered(level, event);
			}
		}
	}
}
