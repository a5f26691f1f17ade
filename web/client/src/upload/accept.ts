import type { Settings } from "../config.js";
import { UploadError } from "../errors.js";
import type { UploadSource } from "./source.js";

/** Throws INVALID_FILE for what the config doesn't allow. */
export function checkFile(source: UploadSource, name: string, settings: Settings): void {
	const { maxFileSize, allowedMimeTypes, allowedExtensions } = settings;
	const { size, type } = source instanceof Blob ? source : { size: 0, type: "" };
	if (maxFileSize !== undefined && size > maxFileSize) {
		throw new UploadError("INVALID_FILE", `"${name}" has ${size} bytes; up to ${maxFileSize} are allowed.`);
	}
	if (allowedMimeTypes && !allowedMimeTypes.some((allowed) => matches(type, allowed))) {
		throw new UploadError(
			"INVALID_FILE",
			`"${name}" is of type ${type || "unknown"}; allowed: ${allowedMimeTypes.join(", ")}.`,
		);
	}
	const lower = name.toLowerCase();
	if (
		allowedExtensions &&
		!allowedExtensions.some((end) => lower.endsWith(`.${end.toLowerCase().replace(/^\./, "")}`))
	) {
		throw new UploadError(
			"INVALID_FILE",
			`"${name}" has another extension than allowed: ${allowedExtensions.join(", ")}.`,
		);
	}
}

function matches(type: string, allowed: string): boolean {
	const wanted = allowed.toLowerCase();
	const own = type.toLowerCase().split(";")[0]?.trim() ?? "";
	return wanted.endsWith("/*") ? own.startsWith(wanted.slice(0, -1)) : own === wanted;
}
