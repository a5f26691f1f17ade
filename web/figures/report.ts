import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { options } from "./options.js";

interface Target {
	name: string;
	value: number;
	relation: "≤" | "≥" | "<";
	bound: number;
	met: boolean;
}

/** One figure as bench/result keeps it: printed as it comes, then written as JSON. */
export class Report {
	readonly #figure: string;
	readonly #columns: string[];
	readonly #rows: string[][] = [];
	readonly #raw: object[] = [];
	readonly #targets: Target[] = [];

	constructor(figure: string, columns: string[]) {
		this.#figure = figure;
		this.#columns = columns;
	}

	row(...cells: (string | number)[]): void {
		this.#rows.push(cells.map((cell) => (typeof cell === "number" ? brief(cell) : cell)));
	}

	/** A single measurement behind the rows. */
	measured(raw: object): void {
		this.#raw.push(raw);
	}

	target(name: string, value: number, relation: Target["relation"], bound: number): void {
		const met = relation === "≥" ? value >= bound : relation === "≤" ? value <= bound : value < bound;
		this.#targets.push({ name, value, relation, bound, met });
	}

	/** A target on time, to which a small run isn't held. */
	speedTarget(...target: Parameters<Report["target"]>): void {
		if (!options.quick) {
			this.target(...target);
		}
	}

	/** Keeps the report, and returns the names of targets that are missed. */
	write(versions: Record<string, string>, goVersion: string): string[] {
		const rows = this.#rows.map((row) => Object.fromEntries(this.#columns.map((column, i) => [column, row[i]])));
		console.log(`\n${this.#figure}`);
		console.table(rows);
		for (const { met, name, value, relation, bound } of this.#targets) {
			console.log(`${met ? "pass" : "FAIL"}  ${name}: ${brief(value)} ${relation} ${bound}`);
		}
		const all = cpus();
		const report = {
			figure: this.#figure,
			date: new Date().toISOString().slice(0, 10),
			quick: options.quick,
			seed: 0,
			versions,
			machine: { cpu: all[0]?.model, cores: all.length, kernel: release(), go: goVersion },
			columns: this.#columns,
			rows: this.#rows,
			targets: this.#targets,
			raw: this.#raw,
		};
		mkdirSync(options.results, { recursive: true });
		writeFileSync(join(options.results, `${this.#figure}.json`), `${JSON.stringify(report, null, 2)}\n`);
		return this.#targets.filter(({ met }) => !met).map(({ name }) => name);
	}
}

function brief(value: number): string {
	return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

export function median(values: number[]): number {
	return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
