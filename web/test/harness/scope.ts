import { afterAll } from "vitest";

const ends: (() => unknown)[] = [];

/** Has something run when the tests of this file are over, the latest first. */
export function atEnd(end: () => unknown): void {
	ends.push(end);
}

afterAll(async () => {
	for (const end of ends.splice(0).reverse()) {
		await end();
	}
});
