import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { crc32c } from "../client/src/checksum/crc32c.js";
import { Crowd } from "./harness/crowd.js";
import { sparseFile } from "./harness/files.js";
import { Streamflow, sha256 } from "./harness/streamflow.js";
import { folder, Visitor } from "./harness/visitor.js";

const MiB = 1 << 20;

let server: Streamflow;
beforeAll(async () => {
	server = await Streamflow.start("--allow-reading");
});

/** The address that the page's button copies. */
async function linkOf(visitor: Visitor, name: string): Promise<string> {
	await visitor.press(name, "copy");
	await expect.poll(() => visitor.row(name).locator("[data-action=copy]").textContent()).toBe("Copied");
	return visitor.page.evaluate(() => navigator.clipboard.readText());
}

test("a dropped file is uploaded, and has a checksum and a link", async () => {
	const visitor = await Visitor.open(server);
	const path = sparseFile(3 * MiB, "täst – file.bin");
	await visitor.drop(path);
	await visitor.waitFor("täst – file.bin", "done");
	const sum = Buffer.from(crc32c(readFileSync(path))).toString("hex");
	await expect.poll(() => visitor.sentence("täst")).toBe(`3.00 MiB · CRC-32C ${sum}`);
	const link = await linkOf(visitor, "täst");
	expect(await server.sha256(link)).toBe(await sha256(path));
	expect((await fetch(link)).headers.get("Content-Length")).toBe(String(3 * MiB));
	expect(await visitor.text("#total-text")).toBe("3.00 MiB of 3.00 MiB");
	expect(await visitor.text("#total-files")).toBe("1 of 1 file");
	await expect.poll(() => visitor.text("#said")).toContain("is finished.");
});

test("a folder comes with its paths, in order, and the same one again is no new one", async () => {
	const visitor = await Visitor.open(server);
	const path = folder("photos", { "b/2.txt": "two", "b/10.txt": "ten", "a.txt": "one", "empty.txt": "" });
	await visitor.drop(path);
	await expect.poll(() => visitor.text("#total-files")).toBe("4 of 4 files");
	await visitor.drop(path);
	await expect.poll(() => visitor.text("#said")).toContain("in the list already");
	const names = await visitor.page.locator(".row .name").allTextContents();
	expect(names).toEqual(["photos/a.txt", "photos/b/2.txt", "photos/b/10.txt", "photos/empty.txt"]);
});

test("pauses, goes on, and cancels on the server, too", async () => {
	const visitor = await Visitor.open(server);
	await visitor.slowDown();
	await visitor.drop(sparseFile(12 * MiB, "large.bin"));
	await visitor.halfway("large.bin");
	await visitor.press("large.bin", "pause");
	await visitor.waitFor("large.bin", "paused");
	const paused = await visitor.sentence("large.bin");
	expect(paused).toMatch(/^Paused · .* of 12.0 MiB$/);
	await new Promise((resolve) => setTimeout(resolve, 500));
	expect(await visitor.sentence("large.bin")).toBe(paused);
	await visitor.page.locator("#resume-all").click();
	await visitor.waitFor("large.bin", "uploading");
	await visitor.press("large.bin", "cancel");
	await expect.poll(() => visitor.requests.at(-1)?.method).toBe("DELETE");
	await visitor.page.locator("#welcome").waitFor();
});

test("after a reload it goes on by itself, where the browser has handles of files", async () => {
	const visitor = await Visitor.open(server);
	const path = sparseFile(12 * MiB, "handle.bin");
	await visitor.slowDown();
	await visitor.drop(path, folder("small", { "1.txt": "one" }));
	await visitor.halfway("handle.bin");
	await visitor.waitFor("1.txt", "done");
	visitor.requests.length = 0;
	await visitor.page.reload();
	await visitor.speedUp();
	await visitor.waitFor("handle.bin", "done");
	expect(await server.sha256(await linkOf(visitor, "handle.bin"))).toBe(await sha256(path));
	const patches = visitor.requests.filter(({ method }) => method === "PATCH");
	expect(patches.map(({ headers }) => Number(headers["upload-offset"]) > MiB)).toEqual([true]);
	// What was finished before is still there, with its link.
	expect(await server.sha256(await linkOf(visitor, "1.txt"))).toBe(await sha256(await fileOf("one")));
});

test("a file that has changed before it goes on is the same one when it comes again", async () => {
	const visitor = await Visitor.open(server);
	const path = sparseFile(12 * MiB, "changing.bin");
	await visitor.slowDown();
	await visitor.drop(path);
	await visitor.halfway("changing.bin");
	await visitor.press("changing.bin", "pause");
	writeFileSync(path, "something else");
	await visitor.page.reload();
	await visitor.waitFor("changing.bin", "done");
	expect(await server.sha256(await linkOf(visitor, "changing.bin"))).toBe(await sha256(path));
	await visitor.drop(path);
	await expect.poll(() => visitor.text("#said")).toContain("in the list already");
	expect(await visitor.page.locator(".row").count()).toBe(1);
});

test("after a reload it goes on with the file that is chosen again, where there are no handles", async () => {
	const visitor = await Visitor.open(server, { pickers: false });
	const path = sparseFile(12 * MiB, "chosen.bin");
	await visitor.slowDown();
	await visitor.page.setInputFiles("#files", path);
	await visitor.halfway("chosen.bin");
	visitor.requests.length = 0;
	await visitor.page.reload();
	await visitor.waitFor("chosen.bin", "lost");
	expect(await visitor.sentence("chosen.bin")).toBe("Interrupted: choose this file again.");
	await visitor.speedUp();
	const chooser = visitor.page.waitForEvent("filechooser");
	await visitor.press("chosen.bin", "resume");
	await (await chooser).setFiles(path);
	await visitor.waitFor("chosen.bin", "done");
	expect(await visitor.page.locator(".row").count()).toBe(1);
	const patches = visitor.requests.filter(({ method }) => method === "PATCH");
	expect(patches.map(({ headers }) => Number(headers["upload-offset"]) > MiB)).toEqual([true]);
});

test("a second tab leaves the uploads of the first alone", async () => {
	const visitor = await Visitor.open(server);
	await visitor.slowDown();
	await visitor.drop(sparseFile(12 * MiB, "first.bin"));
	await visitor.halfway("first.bin");
	const second = await visitor.page.context().newPage();
	await second.goto(visitor.page.url());
	await second.locator("#server .pill").waitFor();
	expect(await second.locator(".row").count()).toBe(0);
	await second.close();
	await visitor.speedUp();
	await visitor.waitFor("first.bin", "done");
});

test("shows the memory of the tab and of the server, and what happens to it", async () => {
	const tight = await Streamflow.start("--max-memory", "32MiB", "--memory-warning", "0.1");
	const visitor = await Visitor.open(tight);
	await visitor.slowDown();
	await visitor.drop(sparseFile(64 * MiB, "watched.bin"));
	await visitor.waitFor("watched.bin", "uploading");
	await Crowd.at(tight.url);
	await expect.poll(() => visitor.text("#happened")).toMatch(/The server is at warning: \d+ % in use/);
	await expect.poll(() => visitor.text("#server .use")).toMatch(/^[\d.]+ [KM]iB of [\d.]+ MiB$/);
	expect(await visitor.text("#server tbody")).toContain("connection");
	expect(await visitor.page.locator("#server .meter .warning").getAttribute("style")).toContain("10%");
	await expect.poll(() => visitor.text("#tab tbody")).toMatch(/transfer1[\d.]+ KiB/);
	expect(await visitor.text("#tab .use")).toMatch(/^[\d.]+ KiB of 100 MiB$/);
});

async function fileOf(content: string): Promise<string> {
	return `${folder("one", { file: content })}/file`;
}
