import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { launch } from "./harness/browser.js";
import { sparseFile, temporary } from "./harness/files.js";
import { out } from "./harness/paths.js";
import { Streamflow } from "./harness/streamflow.js";
import { folder, Visitor } from "./harness/visitor.js";

const MiB = 1 << 20;

/** A file of tokens, with one for each name; the scopes are those of `streamflow token`. */
function tokenFile(scopes: Record<string, string>): { path: string; tokens: Record<string, string> } {
	const path = join(temporary(), "tokens");
	const tokens = Object.entries(scopes).map(([name, scope]) => {
		const flags = ["token", name, "--token-file", path, "--scopes", scope];
		return [name, execFileSync(join(out, "streamflow"), flags, { encoding: "utf8" }).trim()];
	});
	return { path, tokens: Object.fromEntries(tokens) };
}

/** The status of what the server answers to a token. */
async function statusWith(server: Streamflow, token: string | undefined): Promise<number> {
	const headers = { Authorization: `Bearer ${token}` };
	return (await fetch(new URL("/api/v1/memory", server.url), { headers })).status;
}

async function signIn(visitor: Visitor, token: string): Promise<void> {
	await visitor.page.locator("#ask-token").fill(token);
	await visitor.page.locator("#ask-token").press("Enter");
}

test("what the server doesn't take is said at the file, and can be tried again", async () => {
	const server = await Streamflow.start("--max-file-size", "1MiB", "--allow-type", "text/plain,image/*");
	const visitor = await Visitor.open(server);
	await visitor.drop(sparseFile(2 * MiB, "large.txt"), folder("odd", { "page.html": "<!doctype html><html></html>" }));
	await visitor.waitFor("large.txt", "failed");
	expect(await visitor.sentence("large.txt")).toMatch(/^This file is larger than the server takes/);
	await visitor.waitFor("page.html", "failed");
	expect(await visitor.sentence("page.html")).toMatch(/^The server doesn't take files of this type/);
	await visitor.page.locator("[data-filter=failed]").click();
	await expect.poll(() => visitor.page.locator(".row").count()).toBe(2);
	await visitor.press("large.txt", "retry");
	await visitor.waitFor("large.txt", "failed");
	await visitor.press("large.txt", "cancel");
	await expect.poll(() => visitor.page.locator(".row").count()).toBe(1);
});

test("what the browser has no handle for is uploaded all the same", async () => {
	const visitor = await Visitor.open(await Streamflow.start(), {
		first: () => Object.assign(DataTransferItem.prototype, { getAsFileSystemHandle: async () => null }),
	});
	await visitor.drop(sparseFile(1024, "from-a-mail.bin"));
	await visitor.waitFor("from-a-mail.bin", "done");
});

test("what can't be read keeps nothing else from being uploaded", async () => {
	const visitor = await Visitor.open(await Streamflow.start(), {
		first: () => {
			const names = ["1.txt", "2.txt", "3.txt"];
			const entries = names.map((name) => ({
				isFile: true,
				fullPath: `/mixed/${name}`,
				file: (found: (file: File) => void, failed: (error: unknown) => void) =>
					name === "2.txt" ? failed(new DOMException("no", "NotReadableError")) : found(new File([name], name)),
			}));
			const readEntries = (found: (some: unknown[]) => void) => found(entries.splice(0));
			Object.assign(DataTransferItem.prototype, {
				getAsFileSystemHandle: undefined,
				webkitGetAsEntry: () => ({ isFile: false, fullPath: "/mixed", createReader: () => ({ readEntries }) }),
			});
		},
	});
	await visitor.drop(folder("mixed", {}));
	await visitor.waitFor("1.txt", "done");
	await visitor.waitFor("3.txt", "done");
	expect(await visitor.page.locator(".row").count()).toBe(2);
	await expect.poll(() => visitor.text("#said")).toContain("1 file can't be read.");
});

test("a second tab leaves the uploads of the first alone where a page has no locks, without TLS", async () => {
	const visitor = await Visitor.open(await Streamflow.start(), {
		first: () => Object.defineProperty(navigator, "locks", { value: undefined }),
	});
	await visitor.slowDown();
	await visitor.drop(sparseFile(24 * MiB, "first.bin"), folder("small", { "1.txt": "one" }));
	await visitor.waitFor("1.txt", "done");
	await visitor.halfway("first.bin");
	const second = await visitor.page.context().newPage();
	await second.goto(visitor.page.url());
	await second.locator("#connection[data-state=connected]").waitFor();
	expect(await second.locator(".row").count()).toBe(0);
	await visitor.page.reload();
	await expect.poll(() => visitor.page.locator(".row").count()).toBe(2);
});

test("says that somebody else sends to the same upload, and goes on after that", async () => {
	const visitor = await Visitor.open(await Streamflow.start());
	let locked = true;
	await visitor.page.route("**/files/*", (route) =>
		locked && route.request().method() === "PATCH" ? route.fulfill({ status: 423 }) : route.continue(),
	);
	await visitor.drop(sparseFile(3 * MiB, "shared.bin"));
	await visitor.waitFor("shared.bin", "retrying");
	expect(await visitor.sentence("shared.bin")).toBe("Somebody else sends to this upload, too. It tries again.");
	locked = false;
	await visitor.waitFor("shared.bin", "done");
});

test("goes on when the browser's storage is cleared under it", async () => {
	const server = await Streamflow.start();
	const visitor = await Visitor.open(server);
	await visitor.drop(folder("few", { "1.txt": "one" }));
	await visitor.waitFor("1.txt", "done");
	const session = await visitor.page.context().newCDPSession(visitor.page);
	const { origin } = new URL(server.url);
	await session.send("Storage.clearDataForOrigin", { origin, storageTypes: "all" });
	await expect.poll(() => visitor.page.evaluate(async () => (await indexedDB.databases()).length)).toBe(0);
	await visitor.drop(folder("more", { "2.txt": "two" }));
	await visitor.waitFor("2.txt", "done");
	await visitor.page.waitForTimeout(500); // in which the list would be written
});

test("shows nothing of the server's memory while the server is away", async () => {
	const server = await Streamflow.start();
	const visitor = await Visitor.open(server);
	const meter = visitor.page.locator("#server .meter");
	await expect.poll(() => meter.getAttribute("aria-valuetext")).toContain("normal");
	await server.kill();
	await expect.poll(() => visitor.text("#connection")).toBe("Server away");
	expect(await meter.getAttribute("aria-valuetext")).toBe("unknown");
	expect(await visitor.page.locator("#server dd").allTextContents()).toEqual(["–", "–", "–", "–"]);
});

test("says what to do where there is no JavaScript, and offers nothing that needs it", async () => {
	const { url } = await Streamflow.start();
	const context = await (await launch()).newContext({ javaScriptEnabled: false });
	onTestFinished(() => context.close());
	const page = await context.newPage();
	await page.goto(new URL("/", url).href);
	expect(await page.locator("button:visible").count()).toBe(0);
	expect(await page.locator("body").innerText()).toMatch(/^Streamflow\s+This page needs JavaScript/);
});

test("goes on when the server is back, and says so meanwhile", async () => {
	const server = await Streamflow.start();
	const visitor = await Visitor.open(server);
	await visitor.slowDown();
	await visitor.drop(sparseFile(12 * MiB, "patient.bin"));
	await visitor.halfway("patient.bin");
	await server.kill();
	await visitor.waitFor("patient.bin", "retrying");
	expect(await visitor.sentence("patient.bin")).toBe("The server can't be reached. It tries again.");
	await expect.poll(() => visitor.text("#connection")).toBe("Server away");
	await server.start();
	await visitor.waitFor("patient.bin", "done");
	await expect.poll(() => visitor.text("#connection")).toBe("Connected");
});

test("says that the browser is offline, and goes on after that", async () => {
	const server = await Streamflow.start();
	const visitor = await Visitor.open(server);
	await visitor.goOffline();
	await expect.poll(() => visitor.text("#connection")).toBe("Offline");
	await visitor.drop(folder("few", { "offline.txt": "bytes" }));
	await expect
		.poll(() => visitor.sentence("offline.txt"))
		.toBe("You are offline. It goes on when the connection is back.");
	await visitor.speedUp();
	await visitor.waitFor("offline.txt", "done");
	await expect.poll(() => visitor.text("#connection")).toBe("Connected");
});

test("asks for a token, keeps it for this tab, and asks again when it is refused", async () => {
	const { path, tokens } = tokenFile({ alice: "create,append,read,delete" });
	const server = await Streamflow.start("--token-file", path, "--allow-reading");
	const visitor = await Visitor.open(server, { tokens: true });
	await visitor.page.locator("dialog[open]").waitFor();
	await signIn(visitor, "wrong");
	await expect
		.poll(() => visitor.text("#ask-error"))
		.toBe("The server doesn't know this token: check that you have all of it.");
	await signIn(visitor, tokens.alice ?? "");
	await expect.poll(() => visitor.text("#connection")).toBe("Connected");
	await visitor.drop(folder("few", { "1.txt": "one" }));
	await visitor.waitFor("1.txt", "done");
	await expect.poll(() => visitor.sentence("1.txt")).toMatch(/CRC-32C [0-9a-f]{8}$/);
	await visitor.page.reload();
	await expect.poll(() => visitor.text("#connection")).toBe("Connected");
	expect(await visitor.page.evaluate(() => Object.keys(localStorage))).toEqual([]);

	// The token is taken away, and the uploads wait for another one.
	writeFileSync(path, "");
	await visitor.page.locator("dialog").evaluate((dialog: HTMLDialogElement) => dialog.close());
	await expect.poll(() => statusWith(server, tokens.alice)).toBe(401);
	await visitor.drop(folder("more", { "2.txt": "two" }));
	await visitor.page.locator("dialog[open]").waitFor();
	expect(await visitor.text("#ask-error")).toMatch(/^The server doesn't take the token any more/);
	await visitor.waitFor("2.txt", "waiting");
	const again = tokenFile({ bob: "create,append" });
	copyFileSync(again.path, path);
	await expect.poll(() => statusWith(server, again.tokens.bob)).toBe(200);
	await signIn(visitor, again.tokens.bob ?? "");
	await visitor.waitFor("2.txt", "done");
});

test("says what a token doesn't allow", async () => {
	const { path, tokens } = tokenFile({ reader: "read" });
	const server = await Streamflow.start("--token-file", path);
	const visitor = await Visitor.open(server, { tokens: true });
	await signIn(visitor, tokens.reader ?? "");
	await visitor.page.locator("dialog[open]").waitFor({ state: "detached" });
	await visitor.drop(folder("few", { "1.txt": "one" }));
	await visitor.waitFor("1.txt", "failed");
	expect(await visitor.sentence("1.txt")).toMatch(/^Your token doesn't allow this/);
});
