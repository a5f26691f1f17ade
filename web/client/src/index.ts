/**
 * Uploads from the browser, inside a memory budget, over tus 1.0.
 *
 * @packageDocumentation
 */
export type { AccessToken, UploadConfig } from "./config.js";
export { type ErrorCode, type ErrorDetails, UploadError } from "./errors.js";
export type { Listener, ManagerEvents, MemoryEvent, PerformanceMetrics, ProgressEvent } from "./events.js";
export { StreamUploadManager } from "./manager.js";
export type { Reservation } from "./memory/admission.js";
export type { MemoryConfig, ResourceTracking } from "./memory/config.js";
export type { Level } from "./memory/level.js";
export type { CleanupResult, DebugOptions, MemoryManager, MemoryStats } from "./memory/manager.js";
export type { ResourceStats, ResourceType } from "./memory/resources.js";
export type { UploadSource } from "./upload/source.js";
export type { StreamingState, UploadResult, UploadState, UploadStatus } from "./upload/state.js";
export type { StreamOptions, Upload } from "./upload/upload.js";
