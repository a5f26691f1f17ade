import { byId, fill, find, mark, write } from "./dom.js";
import * as format from "./format.js";
import { type Item, isMoving, isOpen } from "./item.js";

export type Filter = "all" | "active" | "done" | "failed";

/** Milliseconds over which the speed of all is smoothed. */
const smoothing = 3_000;

const filters: Record<Filter, (item: Item) => boolean> = {
	all: () => true,
	active: isOpen,
	done: ({ status }) => status === "done",
	failed: ({ status }) => status === "failed",
};

/** Shows how far all files together are, and which of them are to be seen. */
export class Total {
	filter: Filter = "all";
	readonly #bar = byId("total-bar");
	readonly #text = byId("total-text");
	readonly #buttons = [...byId("filters").querySelectorAll("button")];
	#speed = 0;
	#moved = 0;
	#at = 0;

	/** `chosen` is called when another filter is. */
	constructor(chosen: () => void) {
		for (const button of this.#buttons) {
			button.addEventListener("click", () => {
				this.filter = button.dataset.filter as Filter;
				chosen();
			});
		}
	}

	/** Returns the items to be seen. `moved` is how many bytes have been sent so far. */
	show(items: readonly Item[], moved: number, now: number): Item[] {
		const is = (status: Item["status"]) => items.filter((item) => item.status === status).length;
		const done = is("done");
		const failed = is("failed");
		const going = items.some(isMoving);
		// What has failed isn't going to be sent, unless somebody has it tried again.
		const sum = (of: (item: Item) => number) =>
			items.reduce((sum, item) => sum + (item.status === "failed" ? 0 : of(item)), 0);
		const size = sum((item) => item.size);
		const sent = sum((item) => Math.min(item.sent, item.size));
		const left = sum((item) => (isPending(item) ? item.size - item.sent : 0));
		this.#measure(moved, going, now);
		// Of files without bytes only their number tells.
		const progress = size > 0 ? sent / size : done / Math.max(items.length, 1);
		const whole = items.length > 0 && done === items.length;
		const percent = whole ? 100 : format.percent(progress, 1);
		fill(find(this.#bar, "i"), progress);
		mark(this.#bar, "aria-valuenow", String(percent));
		mark(this.#bar, "data-whole", String(whole));
		write(byId("total-percent"), `${percent} %`);
		write(byId("total-files"), `${done.toLocaleString("en")} of ${format.count(items.length, "file")}`);
		const parts = [
			`${format.bytes(sent)} of ${format.bytes(size)}`,
			...(going && this.#speed > 0 ? [format.speed(this.#speed), `${format.duration(left / this.#speed)} left`] : []),
		];
		write(this.#text, parts.join(" · "));
		mark(this.#bar, "aria-valuetext", `${percent} %, ${parts.join(", ")}`);
		document.title = going ? `${percent} % – Streamflow` : "Streamflow";
		this.#actions(items.some(isPending), is("paused") > 0, failed > 0, done > 0);
		this.#count({ all: items.length, active: items.length - done - failed, done, failed });
		return items.filter(filters[this.filter]);
	}

	#measure(moved: number, going: boolean, now: number): void {
		const elapsed = now - this.#at;
		if (!going || this.#at === 0) {
			this.#speed = 0;
		} else if (elapsed < 250) {
			return;
		} else {
			const weight = this.#speed === 0 ? 1 : 1 - Math.exp(-elapsed / smoothing);
			this.#speed += (((moved - this.#moved) / elapsed) * 1000 - this.#speed) * weight;
		}
		this.#at = going ? now : 0;
		this.#moved = moved;
	}

	#actions(pause: boolean, resume: boolean, retry: boolean, clear: boolean): void {
		const show = (id: string, is: boolean) => byId(id).classList.toggle("off", !is);
		byId("pause-all").hidden = !pause && resume;
		byId("resume-all").hidden = pause || !resume;
		show("pause-all", pause);
		show("retry-all", retry);
		show("clear", clear);
	}

	#count(counts: Record<Filter, number>): void {
		for (const button of this.#buttons) {
			const filter = button.dataset.filter as Filter;
			write(find(button, "b"), counts[filter].toLocaleString("en"));
			mark(button, "aria-pressed", String(filter === this.filter));
		}
	}
}

/** Will be sent without anybody's doing. */
const isPending = (item: Item) => item.status === "waiting" || isMoving(item);
