import { byId } from "./dom.js";

/** Asks for a token. */
export class TokenDialog {
	readonly #dialog = byId<HTMLDialogElement>("ask");
	readonly #input = byId<HTMLInputElement>("ask-token");
	readonly #error = byId("ask-error");
	readonly #button = byId("token");

	/** `given` hears of a token that `takes` has found good. */
	constructor(takes: (token: string) => Promise<boolean>, given: (token: string) => void) {
		this.#button.addEventListener("click", () => this.open(""));
		byId("ask-later").addEventListener("click", () => this.#dialog.close());
		byId<HTMLFormElement>("ask-form").addEventListener("submit", (event) => {
			event.preventDefault();
			void this.#submit(takes, given);
		});
	}

	/** `why` says what is wrong with the token before, if there was one. */
	open(why: string): void {
		this.#button.hidden = false;
		this.#error.textContent = why;
		if (!this.#dialog.open) {
			this.#input.value = "";
			this.#dialog.showModal();
		}
	}

	async #submit(takes: (token: string) => Promise<boolean>, given: (token: string) => void): Promise<void> {
		const token = this.#input.value.trim();
		this.#error.textContent = "";
		// What doesn't fit into a header isn't worth asking.
		const good = /^[\x21-\x7e]+$/.test(token) && (await takes(token).catch(() => null));
		if (good) {
			this.#dialog.close();
			given(token);
			return;
		}
		this.#error.textContent =
			good === null
				? "The server can't be reached: check your connection, and try again."
				: "The server doesn't know this token: check that you have all of it.";
		this.#input.select();
	}
}
