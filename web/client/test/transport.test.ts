import { createHash } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";
import { crc32c } from "../src/checksum/crc32c.js";
import { digest } from "../src/checksum/digest.js";
import { UploadError } from "../src/errors.js";
import { refusal, retryAfter } from "../src/transport/refusal.js";
import { pause, persist } from "../src/transport/retry.js";
import { encodeMetadata } from "../src/transport/tus.js";
import { Meter } from "../src/upload/meter.js";

afterEach(() => {
	vi.useRealTimers();
	vi.restoreAllMocks();
});

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

test("doesn't send again to a URL that is used", () => {
	const error = refusal(answer(409, {}, JSON.stringify({ code: "GRANT_USED", detail: "ask for another URL" })));
	expect(error).toMatchObject({
		code: "VALIDATION_ERROR",
		transient: false,
		message: expect.stringContaining("ask for another URL"),
	});
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

/** Fails again and again for some minutes, and returns when, in milliseconds, and with what it gave up. */
async function failing(limit: number, error: UploadError, working: readonly number[] = []) {
	vi.useFakeTimers({ now: 0 });
	vi.spyOn(Math, "random").mockReturnValue(0.999);
	const at: number[] = [];
	const attempt = async (progressed: () => void) => {
		at.push(Date.now());
		if (working.includes(at.length)) {
			progressed();
		}
		throw error;
	};
	const ended = persist(limit, new AbortController().signal, { attempt, failed: () => {} }).catch((error) => error);
	await vi.advanceTimersByTimeAsync(300_000);
	return { at, error: (await ended) as UploadError };
}

test("gives up after the attempts asked for, and 45 s", async () => {
	const { at, error } = await failing(3, failure());
	expect(error).toMatchObject({ code: "NETWORK_ERROR", message: "Gave up after 9 failures in 46 s. no answer" });
	expect(at.slice(0, 4).map(Math.round)).toEqual([0, 249, 748, 1747]);
	expect(Math.max(...at.slice(1).map((end, i) => end - (at[i] as number)))).toBeLessThanOrEqual(15_000);
});

test("doesn't give up before the attempts asked for, and counts anew after progress", async () => {
	expect((await failing(12, failure())).at).toHaveLength(12);
	expect((await failing(3, failure(), [8])).at).toHaveLength(16);
});

test.each([
	["what won't pass", 3, new UploadError("INVALID_FILE", "too large")],
	["anything with retryAttempts 0", 0, failure()],
])("doesn't repeat %s", async (_, limit, error) => {
	expect(await failing(limit, error)).toEqual({ at: [0], error });
});

test("waits as long as the server asks", async () => {
	expect((await failing(3, failure(9000))).at.slice(0, 3)).toEqual([0, 9000, 18_000]);
});

test("what is ended while its failure is looked into stays ended", async () => {
	const stop = new AbortController();
	const failed = vi.fn();
	const ended = persist(3, stop.signal, {
		attempt: () => Promise.reject(failure()),
		diagnose: async (error) => {
			stop.abort(new Error("enough"));
			return error;
		},
		failed,
	});
	await expect(ended).rejects.toThrow("enough");
	expect(failed).not.toHaveBeenCalled();
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
