import type { Settings } from "../config.js";

/**
 * Whether pieces of a file are read into memory before they are sent. XMLHttpRequest
 * in Chromium and Firefox streams a slice from the disk. WebKit, which alone has
 * GestureEvent, has requests with slices that never end; there it takes buffers,
 * and the stall timeout finds what hangs.
 */
export function isBuffered(settings: Settings): boolean {
	switch (settings.bodyMode) {
		case "buffer":
			return true;
		case "blob":
			return settings.validateChunks;
		default:
			return settings.validateChunks || "GestureEvent" in globalThis;
	}
}
