import { clone, fill, find, icon, mark, write } from "./dom.js";
import * as format from "./format.js";
import { type Item, isMoving, nameOf, type Status } from "./item.js";

export type Action = "pause" | "resume" | "retry" | "copy" | "cancel";

/** Characters of a name that stay in sight when its middle is cut. */
const tail = 8;

const actions: Record<Status, [Action | null, string]> = {
	waiting: ["pause", "Pause"],
	uploading: ["pause", "Pause"],
	retrying: ["pause", "Pause"],
	paused: ["resume", "Resume"],
	lost: ["resume", "Choose again"],
	failed: ["retry", "Retry"],
	done: [null, ""],
};

/** Shows one item. It touches only what has changed since the last time. */
export class Row {
	readonly element: HTMLLIElement;
	readonly #badge: HTMLElement;
	readonly #state: HTMLElement;
	readonly #percent: HTMLElement;
	readonly #bar: HTMLElement;
	readonly #act: HTMLButtonElement;
	readonly #copy: HTMLButtonElement;
	readonly #cancel: HTMLButtonElement;
	readonly #name: string;
	readonly #links: boolean;
	#status: Status | undefined;

	/** `links`: what is finished can be read, so its address is worth copying. */
	constructor(item: Item, links: boolean) {
		this.element = find<HTMLLIElement>(clone("row"), "li");
		this.element.dataset.key = item.key;
		this.#badge = find(this.element, ".badge");
		this.#state = find(this.element, ".text");
		this.#percent = find(this.element, ".percent");
		this.#bar = find(this.element, ".bar");
		this.#act = find<HTMLButtonElement>(this.element, ".act");
		this.#copy = find<HTMLButtonElement>(this.element, ".copy");
		this.#cancel = find<HTMLButtonElement>(this.element, ".cancel");
		this.#name = nameOf(item);
		this.#links = links;
		find(this.element, ".folder").textContent = item.path.slice(0, -this.#name.length);
		find(this.element, ".start").textContent = this.#name.slice(0, -tail);
		find(this.element, ".end").textContent = this.#name.slice(-tail);
		find(this.element, ".name").title = item.path;
		this.#copy.setAttribute("aria-label", `Copy link of ${this.#name}`);
		this.#badge.textContent = extension(this.#name);
		this.#bar.setAttribute("aria-label", this.#name);
	}

	update(item: Item, position: number, total: number): void {
		const { status } = item;
		mark(this.element, "data-status", status);
		mark(this.element, "aria-posinset", String(position + 1));
		mark(this.element, "aria-setsize", String(total));
		const [short, more] = stateOf(item);
		const text = short + more;
		write(find(this.#state, ".short"), short);
		write(find(this.#state, ".more"), more);
		this.#state.title = item.sentence;
		const percent = status === "done" ? 100 : format.percent(item.sent, item.size);
		write(this.#percent, status === "done" || item.sentence ? "" : `${percent} %`);
		fill(find(this.#bar, "i"), status === "done" ? 1 : item.sent / Math.max(item.size, 1));
		mark(this.#bar, "aria-valuenow", String(percent));
		mark(this.#bar, "aria-valuetext", `${percent} %, ${text}`);
		this.#buttons(status);
	}

	/** Says something on the button that copies the link, for a moment. */
	flash(text: string): void {
		const label = find(this.#copy, "span");
		const before = this.#copy.title;
		label.textContent = text;
		this.element.classList.add("flash");
		setTimeout(() => {
			label.textContent = before;
			this.element.classList.remove("flash");
		}, 2_000);
	}

	#buttons(status: Status): void {
		if (this.#status === status) {
			return;
		}
		this.#status = status;
		const focused = document.activeElement;
		const [action, verb] = actions[status];
		this.#act.hidden = action === null;
		this.#copy.hidden = status !== "done" || !this.#links;
		if (action) {
			this.#act.dataset.action = action;
			this.#act.title = verb;
			this.#act.setAttribute("aria-label", `${verb} ${this.#name}`);
			this.#act.replaceChildren(icon(status === "lost" ? "up" : action));
		}
		const cancel = status === "done" || status === "failed" ? "Remove" : "Cancel";
		this.#cancel.title = cancel;
		this.#cancel.setAttribute("aria-label", `${cancel} ${this.#name}`);
		if (focused === this.#act && this.#act.hidden) {
			(this.#copy.hidden ? this.#cancel : this.#copy).focus();
		}
	}
}

/** What is to be known of it, and what a phone has no room for. */
function stateOf(item: Item): [short: string, more: string] {
	const { status, sent, size, sentence, speed, left } = item;
	if (sentence) {
		return [sentence, ""];
	}
	if (status === "done") {
		return [[format.bytes(size), item.checksum].filter(Boolean).join(" · "), ""];
	}
	const much = sent > 0 ? `${format.bytes(sent)} of ${format.bytes(size)}` : format.bytes(size);
	if (isMoving(item) && speed > 0) {
		const rate = format.speed(speed);
		return left === null ? [rate, ` · ${much}`] : [`${format.duration(left)} left`, ` · ${rate} · ${much}`];
	}
	const what = { waiting: "Waiting", paused: "Paused", uploading: "Starting" }[status as string] ?? "";
	return [what, ` · ${much}`];
}

/** What a file seems to be, by the end of its name. */
function extension(name: string): string {
	const [, end] = name.match(/[^.]\.([^.]{1,5})$/) ?? [];
	return end?.toUpperCase() ?? "FILE";
}
