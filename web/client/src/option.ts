import { UploadError } from "./errors.js";

/** Says what a value has to be, where it isn't. */
export type Rule = [valid: (value: unknown) => boolean, expected: string];

/** What an option has to be, and what it is where nobody gives it. */
export type Option = [rule: Rule, otherwise?: unknown];

export const isBoolean: Rule = [(v) => typeof v === "boolean", "true or false"];
export const isText: Rule = [(v) => typeof v === "string" && v !== "", "a string that isn't empty"];
export const isCallback: Rule = [(v) => typeof v === "function", "a function"];
export const isCount: Rule = [(v) => Number.isSafeInteger(v) && Number(v) >= 0, "a whole number, 0 or more"];
export const isPositive: Rule = [(v) => isCount[0](v) && v !== 0, "a whole number above 0"];
export const isFraction: Rule = [(v) => typeof v === "number" && v > 0 && v <= 1, "a number above 0 and up to 1"];
export const isObject: Rule = [(v) => typeof v === "object" && v !== null && !Array.isArray(v), "an object"];
export const isTexts: Rule = [
	(v) => isObject[0](v) && Object.values(v as object).every((text) => typeof text === "string"),
	"an object of strings",
];
export const isToken: Rule = [(v) => isText[0](v) || isCallback[0](v), "a string or a function"];
export const isList: Rule = [(v) => Array.isArray(v) && v.every(isText[0]), "an array of strings"];
// setTimeout takes no more, and fires at once.
export const isDuration: Rule = [
	(v) => isPositive[0](v) && Number(v) < 2 ** 31,
	"a whole number above 0 and below 2^31, in milliseconds",
];

/**
 * Each option as given, else as in `base`, else what it is otherwise. The first
 * that breaks its rule is a VALIDATION_ERROR that names it.
 */
export function settle<T extends object>(
	prefix: string,
	given: unknown,
	options: Record<keyof T & string, Option>,
	base: Partial<T> = {},
): T {
	check(prefix, given, isObject);
	const settled = Object.entries<Option>(options).map(([name, [rule, otherwise]]) => {
		const value = (given as Record<string, unknown>)[name];
		if (value === undefined) {
			return [name, base[name as keyof T] ?? otherwise];
		}
		check(`${prefix}.${name}`, value, rule);
		return [name, value];
	});
	return Object.fromEntries(settled);
}

export function check(name: string, value: unknown, [valid, expected]: Rule): void {
	if (!valid(value)) {
		throw new UploadError("VALIDATION_ERROR", `${name} must be ${expected}, not ${show(value)}.`);
	}
}

function show(value: unknown): string {
	return typeof value === "string" || isObject[0](value) ? JSON.stringify(value)?.slice(0, 80) : String(value);
}
