import { clone, fill, find, mark, write } from "./dom.js";
import * as format from "./format.js";

/** The state of one memory budget. Sizes are in bytes. */
export interface State {
	level: string;
	limit: number;
	/** What counts for the level. */
	used: number;
	/** Released, and kept for the next one. */
	cached: number;
	thresholds: { warning: number; critical: number };
	kinds: Record<string, { active: number; bytes: number }>;
	/** More that is worth knowing, by name. */
	facts: Record<string, string>;
}

/** Kinds that are shown; smaller ones are one line. */
const lines = 2;
/** Seconds that the chart goes back. */
const span = 60;

/** Shows a memory budget: what is used of it now, by what, and over the last minute. */
export class Budget {
	readonly #element: HTMLElement;
	readonly #history: number[] = [];

	constructor(element: HTMLElement, name: string) {
		this.#element = element;
		element.append(clone("budget"));
		find(element, "h3").textContent = name;
		this.forget(false);
		find(element, ".meter").setAttribute("aria-label", `${name}: memory in use`);
	}

	/** To be called once a second. */
	show(state: State): void {
		const { level, limit, used, cached, thresholds } = state;
		const percent = Math.round((used / limit) * 100);
		this.#element.hidden = false;
		mark(this.#element, "data-level", level);
		write(find(this.#element, ".pill"), level);
		write(find(this.#element, ".use b"), format.bytes(used));
		write(find(this.#element, ".use span"), `of ${format.bytes(limit)}`);
		const meter = find(this.#element, ".meter");
		mark(meter, "aria-valuenow", String(percent));
		mark(meter, "aria-valuetext", `${format.bytes(used)} of ${format.bytes(limit)}, ${level}`);
		fill(find(meter, ".used"), used / limit);
		fill(find(meter, ".cached"), (used + cached) / limit);
		for (const mark of ["warning", "critical"] as const) {
			find(meter, `.${mark}`).style.insetInlineStart = `${thresholds[mark] * 100}%`;
			const line = find<SVGLineElement>(this.#element, `line.${mark}`);
			line.setAttribute("y1", String(100 - thresholds[mark] * 100));
			line.setAttribute("y2", String(100 - thresholds[mark] * 100));
		}
		this.#draw(used / limit);
		this.#list(state.kinds);
		this.#tell(state.facts);
	}

	/** Shows that nothing is known, or nothing at all. */
	forget(forGood: boolean): void {
		this.#element.hidden = forGood;
		mark(this.#element, "data-level", "unknown");
		write(find(this.#element, ".pill"), "");
		write(find(this.#element, ".use b"), "–");
		write(find(this.#element, ".use span"), "");
		mark(find(this.#element, ".meter"), "aria-valuetext", "unknown");
		fill(find(this.#element, ".used"), 0);
		fill(find(this.#element, ".cached"), 0);
		for (const value of this.#element.querySelectorAll("dd")) {
			write(value, "–");
		}
		this.#list({});
	}

	#draw(usage: number): void {
		this.#history.push(usage);
		this.#history.splice(0, this.#history.length - span - 1);
		const points = this.#history.map((at, i) => {
			const x = span - (this.#history.length - 1 - i);
			return `${x},${(100 - Math.min(at, 1) * 100).toFixed(1)}`;
		});
		const edge = `M${points.join("L")}`;
		const first = span - (this.#history.length - 1);
		find<SVGPathElement>(this.#element, ".edge").setAttribute("d", edge);
		find<SVGPathElement>(this.#element, ".area").setAttribute("d", `${edge}L${span},100L${first},100Z`);
	}

	#tell(facts: State["facts"]): void {
		const list = find(this.#element, "dl");
		Object.entries(facts).forEach(([name, value], i) => {
			const fact = list.children[i] ?? list.appendChild(pair());
			write(fact.children[0] as Element, name);
			write(fact.children[1] as Element, value);
		});
	}

	#list(kinds: State["kinds"]): void {
		const body = find(this.#element, "tbody");
		const all = Object.entries(kinds)
			.filter(([, { active }]) => active > 0)
			.sort(([, a], [, b]) => b.bytes - a.bytes);
		const held = all.length > lines ? [...all.slice(0, lines - 1), rest(all.slice(lines - 1))] : all;
		while (body.children.length > held.length) {
			body.lastElementChild?.remove();
		}
		held.forEach(([kind, { active, bytes }], i) => {
			const row = body.children[i] ?? body.appendChild(line());
			[kind, active.toLocaleString("en"), format.bytes(bytes)].forEach((text, j) => {
				write(row.children[j] as Element, text);
			});
		});
	}
}

type Held = [kind: string, { active: number; bytes: number }];

function rest(held: Held[]): Held {
	const add = (name: "active" | "bytes") => held.reduce((sum, [, kind]) => sum + kind[name], 0);
	return [`${held.length} others`, { active: add("active"), bytes: add("bytes") }];
}

function line(): HTMLTableRowElement {
	const row = document.createElement("tr");
	const head = document.createElement("th");
	head.scope = "row";
	row.append(head, document.createElement("td"), document.createElement("td"));
	return row;
}

function pair(): HTMLDivElement {
	const pair = document.createElement("div");
	pair.append(document.createElement("dt"), document.createElement("dd"));
	return pair;
}
