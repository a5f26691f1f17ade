import type { Item } from "./item.js";
import { type Action, Row } from "./row.js";

/** Rows that are drawn beyond what is in sight, on either side. */
const margin = 6;

/** Characters that surely fit into a line of a phone. */
const lineLength = 40;

/**
 * Shows items, however many: it draws those in sight, and scrolls with the page.
 * A row that has the focus stays, wherever it is.
 */
export class List {
	readonly #element: HTMLElement;
	readonly #links: boolean;
	readonly #rows = new Map<string, Row>();
	readonly #narrow = matchMedia("(max-width: 559px)");
	#items: readonly Item[] = [];
	/** Where each row begins, and the last one ends. */
	#tops: number[] = [0];
	readonly #seen: (item: Item) => void;
	/** The frame that is asked for, or 0. */
	#drawing = 0;

	/** `act` hears of the buttons, `seen` of each item that is in sight. */
	constructor(
		element: HTMLElement,
		links: boolean,
		act: (action: Action, item: Item) => void,
		seen: (item: Item) => void,
	) {
		this.#element = element;
		this.#links = links;
		this.#seen = seen;
		element.addEventListener("click", (event) => {
			const button = (event.target as Element).closest<HTMLElement>("button[data-action]");
			const key = button?.closest("li")?.dataset.key;
			const item = this.#items.find((item) => item.key === key);
			if (button && item) {
				act(button.dataset.action as Action, item);
			}
		});
		element.addEventListener("keydown", (event) => this.#walk(event));
		const draw = () => this.#drawSoon();
		addEventListener("scroll", draw, { passive: true });
		addEventListener("resize", draw);
		element.addEventListener("focusin", draw);
		this.#narrow.addEventListener("change", () => this.show(this.#items));
	}

	show(items: readonly Item[]): void {
		this.#items = items;
		this.#tops = [0];
		let top = 0;
		for (const item of items) {
			top += this.#height(item);
			this.#tops.push(top);
		}
		const height = `${top}px`;
		if (this.#element.style.height !== height) {
			this.#element.style.height = height;
		}
		this.#draw();
	}

	/** Says something on the button of an item, for a moment. */
	flash(item: Item, text: string): void {
		this.#rows.get(item.key)?.flash(text);
	}

	/** A sentence takes up to five lines of its own on a phone. */
	#height({ sentence }: Item): number {
		const lines = Math.min(5, Math.ceil(sentence.length / lineLength));
		return this.#narrow.matches && lines > 0 ? 66 + 18 * lines : 72;
	}

	#drawSoon(): void {
		this.#drawing ||= requestAnimationFrame(() => {
			this.#drawing = 0;
			this.#draw();
		});
	}

	#draw(): void {
		const [from, to] = this.#inSight();
		const wanted = new Set<number>();
		for (let i = Math.max(0, from - margin); i < Math.min(this.#items.length, to + margin); i++) {
			wanted.add(i);
		}
		const focused = document.activeElement?.closest("li")?.dataset.key;
		const focusedAt = focused ? this.#items.findIndex(({ key }) => key === focused) : -1;
		if (focusedAt >= 0) {
			wanted.add(focusedAt);
		}
		const keys = new Set([...wanted].map((i) => this.#items[i]?.key));
		for (const [key, row] of this.#rows) {
			if (!keys.has(key)) {
				this.#dismiss(key, row);
			}
		}
		// In order, so that the Tab key and screen readers go from top to bottom.
		let before: Element | null = null;
		for (const i of [...wanted].sort((a, b) => a - b)) {
			before = this.#place(i, before);
		}
		for (const item of this.#items.slice(from, to)) {
			this.#seen(item);
		}
	}

	#place(i: number, before: Element | null): Element {
		const item = this.#items[i] as Item;
		const row = this.#rows.get(item.key) ?? new Row(item, this.#links);
		this.#rows.set(item.key, row);
		const { element } = row;
		const next = before ? before.nextElementSibling : this.#element.firstElementChild;
		if (next !== element) {
			this.#element.insertBefore(element, next);
		}
		const transform = `translateY(${this.#tops[i]}px)`;
		if (element.style.transform !== transform) {
			element.style.transform = transform;
		}
		const height = `${this.#height(item)}px`;
		if (element.style.height !== height) {
			element.style.height = height;
		}
		row.update(item, i, this.#items.length);
		return element;
	}

	/** The focus must not get lost with its row. */
	#dismiss(key: string, row: Row): void {
		const { element } = row;
		if (element.contains(document.activeElement)) {
			const near = (element.nextElementSibling ?? element.previousElementSibling)?.querySelector<HTMLElement>(
				".cancel",
			);
			(near ?? this.#element).focus({ preventScroll: true });
		}
		element.remove();
		this.#rows.delete(key);
	}

	/** The first item in sight, and the one after the last. */
	#inSight(): [number, number] {
		const { top } = this.#element.getBoundingClientRect();
		return [this.#at(-top), this.#at(innerHeight - top) + 1];
	}

	#at(y: number): number {
		let low = 0;
		let high = this.#items.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((this.#tops[middle + 1] as number) <= y) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		return low;
	}

	/** Up and down go to the same button of another row, Home and End to the ends. */
	#walk(event: KeyboardEvent): void {
		const button = document.activeElement;
		const key = button?.closest("li")?.dataset.key;
		const at = this.#items.findIndex((item) => item.key === key);
		const last = this.#items.length - 1;
		const page = Math.max(1, Math.floor(innerHeight / 72) - 2);
		const steps: Record<string, number> = {
			ArrowUp: at - 1,
			ArrowDown: at + 1,
			PageUp: at - page,
			PageDown: at + page,
			Home: 0,
			End: last,
		};
		const to = steps[event.key];
		if (!button || at < 0 || to === undefined || event.ctrlKey || event.altKey || event.metaKey) {
			return;
		}
		event.preventDefault();
		const next = Math.min(Math.max(to, 0), last);
		const { top } = this.#element.getBoundingClientRect();
		const middle = (innerHeight - this.#height(this.#items[next] as Item)) / 2;
		scrollBy({ top: top + (this.#tops[next] as number) - middle, behavior: "instant" });
		this.#draw();
		const row = this.#rows.get(this.#items[next]?.key ?? "")?.element;
		const same = row?.querySelector<HTMLElement>(button.matches(".cancel") ? ".cancel" : "button:not([hidden])");
		(same ?? row?.querySelector<HTMLElement>(".cancel"))?.focus({ preventScroll: true });
	}
}
