import type { ServerResponse } from "node:http";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { openClient } from "./harness/page.js";
import { type Site, startSite } from "./harness/site.js";

interface Outcome {
	code: string;
	message: string;
	status?: number;
	/** The manager uploads another file afterwards. */
	usable: boolean;
}

const { site } = await startSite();

/** Uploads while the site misbehaves, and then once more while it behaves. */
async function misbehave(page: Page, intercept: Site["intercept"], config: object): Promise<Outcome> {
	site.intercept = intercept;
	const outcome = await page.evaluate(async (config) => {
		window.kept = new window.streamflow.StreamUploadManager({ retryAttempts: 0, ...config });
		const file = new File([new Uint8Array((1 << 20) + 1)], "file.bin", { lastModified: 1 });
		const done = () => ({ code: "none", message: "", status: undefined });
		const { code, message, status } = await window.kept.uploadFile(file).then(done, (error: unknown) => error);
		return { code, message, status };
	}, config);
	return { ...outcome, usable: await usable(page) };
}

/** The manager uploads another file, when the site behaves again. */
async function usable(page: Page): Promise<boolean> {
	site.intercept = () => false;
	return page.evaluate(async () => (await window.kept.uploadFile(new Blob(["abc"]))).size === 3);
}

/** Has an upload of that file be known from before a reload. */
function remember(page: Page): Promise<void> {
	return page.evaluate(() => {
		const fingerprint = [new URL("/files/", location.href).href, { filename: "file.bin" }, (1 << 20) + 1, 1];
		const entry = `${Date.now() + 60_000} ${location.origin}/files/x`;
		localStorage.setItem(`streamflow:${JSON.stringify(fingerprint)}`, entry);
	});
}

const refuse =
	(stage: string, status: number): Site["intercept"] =>
	({ method }, answer) => {
		if (method === stage) {
			answer.writeHead(status).end();
		}
		return method === stage;
	};

const statuses = [
	[400, "VALIDATION_ERROR"],
	[401, "INVALID_TOKEN"],
	[403, "INVALID_TOKEN"],
	[404, "VALIDATION_ERROR"],
	[409, "NETWORK_ERROR"],
	[410, "NETWORK_ERROR"],
	[413, "INVALID_FILE"],
	[415, "INVALID_FILE"],
	[429, "RATE_LIMIT_EXCEEDED"],
	[500, "NETWORK_ERROR"],
	[503, "NETWORK_ERROR"],
] as const;

/** Where a status is no reason to give up: what isn't known of a server isn't used, and what is lost begins anew. */
const harmless: Record<string, number[]> = {
	OPTIONS: [400, 404, 409, 410, 413, 415],
	HEAD: [400, 403, 404, 410, 413, 415],
	DELETE: [404, 410],
};

test("each status at each stage has its code, and a sentence", { timeout: 120_000 }, async () => {
	const page = await openClient(site);
	for (const stage of ["OPTIONS", "POST", "HEAD", "PATCH"]) {
		for (const [status, code] of statuses) {
			if (stage === "HEAD") {
				await remember(page);
			}
			const outcome = await misbehave(page, refuse(stage, status), {});
			const expected = harmless[stage]?.includes(status)
				? { code: "none", message: "" }
				: { code, status, message: expect.stringMatching(new RegExp(`status ${status}\\. [A-Z].*[.:]`)) };
			expect(outcome, `${stage} ${status}`).toMatchObject({ ...expected, usable: true });
			await page.evaluate(() => localStorage.clear());
		}
	}
	expect(new Set(site.requests.map(({ method }) => method))).toEqual(new Set(["OPTIONS", "POST", "HEAD", "PATCH"]));
});

test("each status that an abort meets has its code, and a sentence", async () => {
	const page = await openClient(site);
	for (const [status, code] of statuses) {
		// A PATCH that gets no answer is still under way.
		site.intercept = (incoming, answer) => incoming.method === "PATCH" || refuse("DELETE", status)(incoming, answer);
		const { ended, warnings } = await page.evaluate(async () => {
			const { StreamUploadManager } = window.streamflow;
			const manager: InstanceType<typeof StreamUploadManager> = new StreamUploadManager();
			window.kept = manager;
			const warnings: string[] = [];
			manager.on("warning", ({ code, message }) => warnings.push(`${code} ${message}`));
			const upload = manager.startStreaming(new File([new Uint8Array((1 << 20) + 1)], "file.bin"));
			while (upload.state.url === null) {
				await new Promise((resolve) => setTimeout(resolve, 5));
			}
			await manager.abortStream(upload.id);
			return { ended: upload.state.status, warnings };
		});
		const told = expect.stringMatching(new RegExp(`^${code} Ending the upload failed with status ${status}\\. [A-Z]`));
		expect({ ended, warnings }, `DELETE ${status}`).toEqual({
			ended: "aborted",
			warnings: harmless.DELETE?.includes(status) ? [] : [told],
		});
		expect(await usable(page), `DELETE ${status}`).toBe(true);
	}
});

const reply = (status: number, headers: Record<string, string>) => (answer: ServerResponse) => {
	answer.writeHead(status, headers).end();
};
const created = { Location: "/files/lie", "Tus-Resumable": "1.0.0" };

test.each([
	{
		name: "a site that is no tus server",
		on: { POST: reply(200, {}) },
		code: "VALIDATION_ERROR",
		says: "tus 1.0 server",
	},
	{ name: "a creation without Location", on: { POST: reply(201, {}) }, code: "VALIDATION_ERROR", says: "Location" },
	{
		name: "a Location that is none",
		on: { POST: reply(201, { Location: "http://" }) },
		code: "VALIDATION_ERROR",
		says: "Location",
	},
	{
		name: "an answer without offset",
		on: { POST: reply(201, created), PATCH: reply(204, {}) },
		code: "VALIDATION_ERROR",
		says: "nothing for Upload-Offset",
	},
	{
		name: "an offset that is text",
		on: { POST: reply(201, created), PATCH: reply(204, { "Upload-Offset": "-1" }) },
		code: "VALIDATION_ERROR",
		says: "-1 for Upload-Offset",
	},
	{
		name: "an offset beyond what was sent",
		on: { POST: reply(201, created), PATCH: reply(204, { "Upload-Offset": "99999999" }) },
		code: "VALIDATION_ERROR",
		says: "can't be",
	},
	{
		name: "a server that takes nothing",
		on: { POST: reply(201, created), PATCH: reply(204, { "Upload-Offset": "0" }) },
		code: "NETWORK_ERROR",
		says: "none of the bytes",
	},
	{
		name: "a connection that breaks",
		on: { POST: (answer: ServerResponse) => void answer.destroy() },
		code: "NETWORK_ERROR",
		says: "got no answer",
	},
	{ name: "a server that says nothing", on: { POST: () => {} }, code: "NETWORK_ERROR", says: "check the connection" },
])("$name", async ({ on, code, says }) => {
	const answers: Record<string, ((answer: ServerResponse) => void) | undefined> = on;
	const outcome = await misbehave(
		await openClient(site),
		({ method = "" }, answer) => {
			answers[method]?.(answer);
			return answers[method] !== undefined;
		},
		{ stallTimeout: 500 },
	);
	expect(outcome).toMatchObject({ code, usable: true });
	expect(outcome.message).toContain(says);
});
