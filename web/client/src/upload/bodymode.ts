import type { Settings } from "../config.js";

/**
 * Whether pieces of a file are read into memory before they are sent. XMLHttpRequest
 * in Chromium and Firefox streams a slice from the disk. WebKit, which alone has
 * GestureEvent, has requests with slices that never end; there it takes buffers,
 * and the stall timeout finds what hangs.
 */
export function isBuffered(settings: Settings): boolean {
	const { validateChunks, bodyMode } = settings;
	return validateChunks || bodyMode === "buffer" || (bodyMode === "auto" && "GestureEvent" in globalThis);
}
