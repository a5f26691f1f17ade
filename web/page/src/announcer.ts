/** The least milliseconds between two announcements, so that one can be heard out. */
const pace = 2_000;

/** Tells users of screen readers what happens, several things of a kind in one. */
export class Announcer {
	readonly #region: HTMLElement;
	readonly #pending = new Map<string, { names: string[]; say: (names: string[]) => string }>();
	#timer: ReturnType<typeof setTimeout> | undefined;
	#last = 0;

	constructor(region: HTMLElement) {
		this.#region = region;
	}

	say(text: string): void {
		this.group(text, "", () => text);
	}

	/** Things of one kind, by name; `say` makes a sentence of them. */
	group(kind: string, name: string, say: (names: string[]) => string): void {
		const group = this.#pending.get(kind) ?? { names: [], say };
		group.names.push(name);
		this.#pending.set(kind, group);
		this.#timer ??= setTimeout(() => this.#speak(), Math.max(100, this.#last + pace - Date.now()));
	}

	#speak(): void {
		this.#timer = undefined;
		this.#last = Date.now();
		const sentences = [...this.#pending.values()].map(({ names, say }) => say(names));
		this.#pending.clear();
		this.#region.textContent = sentences.join(" ");
	}
}
