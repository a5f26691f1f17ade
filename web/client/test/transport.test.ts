import { createHash } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";
import { crc32c } from "../src/checksum/crc32c.js";
import { digest } from "../src/checksum/digest.js";
import { UploadError } from "../src/errors.js";
import { refusal, retryAfter } from "../src/transport/refusal.js";
import { Backoff, pause } from "../src/transport/retry.js";
import { encodeMetadata } from "../src/transport/tus.js";
import { Meter } from "../src/upload/meter.js";

afterEach(() => void vi.useRealTimers());

// What the client finds in a browser.
const page = new EventTarget();
vi.stubGlobal("navigator", { onLine: true });
vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));

const answer = (status: number, headers: Record<string, string> = {}, text = "") => ({
	doing: "Sending",
	status,
	url: "http://localhost/files/",
	header: (name: string) => headers[name] ?? null,
	text,
});

test.each([
	[400, "VALIDATION_ERROR", false],
	[401, "INVALID_TOKEN", false],
	[403, "INVALID_TOKEN", false],
	[404, "VALIDATION_ERROR", false],
	[405, "VALIDATION_ERROR", false],
	[409, "NETWORK_ERROR", true],
	[410, "NETWORK_ERROR", false],
	[412, "VALIDATION_ERROR", false],
	[413, "INVALID_FILE", false],
	[415, "INVALID_FILE", false],
	[418, "VALIDATION_ERROR", false],
	[423, "NETWORK_ERROR", true],
	[429, "RATE_LIMIT_EXCEEDED", true],
	[460, "VALIDATION_ERROR", true],
	[500, "NETWORK_ERROR", true],
	[502, "NETWORK_ERROR", true],
	[503, "NETWORK_ERROR", true],
	[507, "NETWORK_ERROR", true],
])("a %i is %s", (status, code, transient) => {
	expect(refusal(answer(status))).toMatchObject({ code, transient, status });
});

test("takes the code and the detail of a problem", () => {
	const body = JSON.stringify({ code: "INVALID_FILE", detail: "no executables here" });
	const error = refusal(answer(403, { "Content-Type": "application/problem+json" }, body));
	expect(error).toMatchObject({ code: "INVALID_FILE", message: expect.stringContaining("no executables here") });
});

test.each(["null", "[1", '{"code":7,"detail":{}}', '{"code":"SUPERSEDED"}'])("survives the problem %s", (body) => {
	const error = refusal(answer(409, { "Content-Type": "application/problem+json" }, body));
	expect(error.code).toBe("NETWORK_ERROR");
});

const now = Date.parse("2026-01-01T00:00:00Z");
test.each([
	[null, 0],
	["3", 3000],
	["Thu, 01 Jan 2026 00:00:05 GMT", 5000],
	["Wed, 31 Dec 2025 00:00:00 GMT", 0],
	["soon", 0],
	["99999999", 3_600_000],
])("Retry-After %s is %i ms", (value, milliseconds) => {
	expect(retryAfter(value, now)).toBe(milliseconds);
});

const failure = (retryAfter = 0) => new UploadError("NETWORK_ERROR", "no answer", { transient: true, retryAfter });

test("gives up after the attempts asked for, and 45 s", () => {
	const backoff = new Backoff(3);
	for (let second = 0; second < 45; second += 5) {
		expect(backoff.failed(failure(), second * 1000)).toBeLessThanOrEqual(15_000);
	}
	expect(() => backoff.failed(failure(), 45_000)).toThrow(/Gave up after 10 failures in 45 s. no answer/);
	backoff.reset();
	backoff.failed(failure(), 100_000);
});

test.each([
	["what won't pass", 3, new UploadError("INVALID_FILE", "too large")],
	["anything with retryAttempts 0", 0, failure()],
])("doesn't repeat %s", (_, limit, error) => {
	expect(() => new Backoff(limit).failed(error, 0)).toThrow(error.message);
});

test("waits as long as the server asks", () => {
	expect(new Backoff(3).failed(failure(9000), 0)).toBe(9000);
});

test("a pause ends with its signal", async () => {
	vi.useFakeTimers();
	const stop = new AbortController();
	const ended = expect(pause(1000, stop.signal)).rejects.toThrow("enough");
	stop.abort(new Error("enough"));
	await ended;
	expect(vi.getTimerCount()).toBe(0);
});

test.each(["", "123456789", "a".repeat(1000)])("sums %j as others do", async (text) => {
	const data = new TextEncoder().encode(text);
	for (const algorithm of ["sha1", "sha256"] as const) {
		expect(await digest(algorithm, data)).toBe(createHash(algorithm).update(data).digest("base64"));
	}
});

test("has the check value of CRC-32C", () => {
	expect(Buffer.from(crc32c(new TextEncoder().encode("123456789"))).toString("hex")).toBe("e3069283");
});

test("encodes metadata as tus has it", () => {
	expect(encodeMetadata({ filename: "ä.txt", empty: "" })).toBe("filename w6QudHh0,empty ");
});

test("measures speed, smoothed", () => {
	const meter = new Meter();
	meter.start(1000, 0);
	for (let second = 1; second <= 60; second++) {
		meter.moveTo(1000 + second * 500, second * 1000);
	}
	expect(meter.speed).toBeCloseTo(500, 5);
});
