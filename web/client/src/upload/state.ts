import type { UploadError } from "../errors.js";

export type UploadStatus = "waiting" | "uploading" | "retrying" | "paused" | "completed" | "failed" | "aborted";

/** Where an upload stands: a snapshot. */
export interface UploadState {
	id: string;
	name: string;
	status: UploadStatus;
	/** 0 to 100; 0 until the end where the length is unknown. */
	percentage: number;
	bytesUploaded: number;
	/** Null where the length is unknown. */
	totalBytes: number | null;
	/** Bytes per second, smoothed. */
	speed: number;
	/** Seconds, or null where nobody can tell. */
	estimatedTimeRemaining: number | null;
	/** Where the upload lies on the server, once that is known. */
	url: string | null;
	/** Why it failed, or why it tries again. */
	error: UploadError | null;
}

/** All uploads that aren't over, and what they come to together. */
export interface StreamingState {
	isStreaming: boolean;
	percentage: number;
	bytesUploaded: number;
	/** Null where the length of one is unknown. */
	totalBytes: number | null;
	speed: number;
	estimatedTimeRemaining: number | null;
	uploads: UploadState[];
}

export interface UploadResult {
	id: string;
	/** Where the upload lies on the server. */
	url: string;
	name: string;
	/** Bytes. */
	size: number;
	/** Bytes that compression has kept off the network. */
	savedBytes: number;
}

export function percentage(bytes: number, total: number | null): number {
	return total === null ? 0 : total === 0 ? 100 : (bytes / total) * 100;
}

/** What uploads under way come to together. */
export function sum(uploads: UploadState[]): StreamingState {
	const add = (pick: (upload: UploadState) => number) => uploads.reduce((total, upload) => total + pick(upload), 0);
	const bytesUploaded = add((upload) => upload.bytesUploaded);
	const speed = add((upload) => upload.speed);
	const known = uploads.every((upload) => upload.totalBytes !== null);
	const totalBytes = known ? add((upload) => upload.totalBytes ?? 0) : null;
	return {
		isStreaming: uploads.some((upload) => upload.status === "uploading" || upload.status === "retrying"),
		percentage: uploads.length > 0 ? percentage(bytesUploaded, totalBytes) : 0,
		bytesUploaded,
		totalBytes,
		speed,
		estimatedTimeRemaining: remaining(bytesUploaded, totalBytes, speed),
		uploads,
	};
}

export function remaining(bytes: number, total: number | null, speed: number): number | null {
	return total === null || speed <= 0 ? null : Math.max(0, total - bytes) / speed;
}
