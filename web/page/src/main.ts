import { Announcer } from "./announcer.js";
import { copy } from "./clipboard.js";
import { byId, mark, write } from "./dom.js";
import { receiveDrops } from "./drop.js";
import * as format from "./format.js";
import { Intake } from "./intake.js";
import { type Item, isOpen, nameOf } from "./item.js";
import { Journal } from "./journal.js";
import { List } from "./list.js";
import { MemoryPanel } from "./memory.js";
import { Queue } from "./queue.js";
import type { Action } from "./row.js";
import { type Connection, Server } from "./server.js";
import { TokenDialog } from "./token.js";
import { Total } from "./total.js";

/** The least milliseconds between two pictures: more often nobody can read. */
const frame = 100;

const { uploads = "./files/", reading } = document.documentElement.dataset;
const endpoint = new URL(uploads, location.href).href;
const announcer = new Announcer(byId("said"));

const server = new Server(location.href, {
	connection: showConnection,
	memory: (memory) => panel.showServer(memory),
	level: (change) => panel.showLevel(change),
	leak: (leak) => panel.showLeak(leak),
	refused: askForToken,
});
const journal = await Journal.open(`streamflow ${endpoint}`);
const queue = new Queue(endpoint, server.token, journal, {
	changed: draw,
	ended: announce,
	refused: askForToken,
});
const panel = new MemoryPanel(queue.manager);
const total = new Total(draw);
const list = new List(byId("list"), reading === "true", act, wantChecksum);
const intake = new Intake(
	{ files: byId<HTMLInputElement>("files"), folder: byId<HTMLInputElement>("folder") },
	{
		found: (files) => {
			announcer.group("added", String(queue.add(files)), (counts) => {
				const sum = counts.reduce((sum, count) => sum + Number(count), 0);
				return sum > 0 ? `${format.count(sum, "file")} added.` : "They are in the list already.";
			});
		},
		unreadable: (path) =>
			announcer.group("unreadable", path, (paths) => `${format.count(paths.length, "file")} can't be read.`),
	},
);
const token = new TokenDialog(
	(token) => server.takes(token),
	(token) => {
		server.token = token;
		queue.admit(token);
		panel.follow(queue.manager);
		void server.listen();
	},
);
byId("token").hidden = server.token === null;

for (const button of document.querySelectorAll<HTMLElement>("[data-choose]")) {
	button.addEventListener("click", () => void intake.choose(button.dataset.choose as "files" | "folder"));
}
onClick("pause-all", pauseAll);
onClick("resume-all", () => resumeAll("paused"));
onClick("retry-all", () => resumeAll("failed"));
onClick("clear", () => queue.remove(queue.items.filter(({ status }) => status === "done")));
receiveDrops(byId("veil"), (transfer) => intake.drop(transfer));

addEventListener("beforeunload", (event) => {
	// Where there is a handle it goes on by itself after a reload.
	if (queue.items.some((item) => isOpen(item) && item.status !== "lost" && !item.root)) {
		event.preventDefault();
	}
});
void server.listen();
await queue.restore(await journal.adopt());

function onClick(id: string, run: () => void): void {
	byId(id).addEventListener("click", run);
}

function pauseAll(): void {
	for (const item of queue.items) {
		queue.pause(item);
	}
}

function resumeAll(status: Item["status"]): void {
	for (const item of queue.items.filter((item) => item.status === status)) {
		void queue.resume(item);
	}
}

async function act(action: Action, item: Item): Promise<void> {
	switch (action) {
		case "pause":
			queue.pause(item);
			break;
		case "resume":
		case "retry":
			if (!(await queue.resume(item))) {
				await intake.choose("files");
			}
			break;
		case "copy":
			await copyLink(item);
			break;
		case "cancel":
			queue.remove([item]);
			announcer.say(`${nameOf(item)} removed.`);
	}
}

async function copyLink(item: Item): Promise<void> {
	const copied = await copy(item.url ?? "");
	announcer.say(copied ? `The link of ${nameOf(item)} is copied.` : "The browser doesn't let this page copy.");
	list.flash(item, copied ? "Copied" : "Not copied");
}

/** Asks for the checksum of a finished upload once it is in sight: thousands need not be asked for. */
function wantChecksum(item: Item): void {
	if (item.status === "done" && item.checksum === undefined && item.url) {
		void server.checksum(item.url).then((checksum) => {
			if (checksum !== undefined) {
				item.checksum = checksum;
				journal.keep(item);
				draw();
			}
		});
	}
}

function announce(item: Item): void {
	const name = nameOf(item);
	if (item.status === "done") {
		announcer.group("done", name, (names) =>
			names.length === 1 ? `${name} is finished.` : `${format.count(names.length, "file")} are finished.`,
		);
	} else {
		announcer.group("failed", name, (names) =>
			names.length === 1
				? `${name} has failed. ${item.sentence}`
				: `${format.count(names.length, "file")} have failed.`,
		);
	}
}

function askForToken(): void {
	token.open(server.token === null ? "" : "The server doesn't take the token any more: give another one.");
}

function showConnection(state: Connection): void {
	const words = { waiting: "Token needed", connected: "Connected", silent: "", away: "Server away" };
	const pill = byId("connection");
	const text = navigator.onLine ? words[state] : "Offline";
	mark(pill, "data-state", state);
	write(pill, text);
	if (state !== "connected") {
		panel.forgetServer(state === "silent");
	}
}

let drawn = 0;
let drawing = false;

/** Shows what has changed, soon. */
function draw(): void {
	if (!drawing) {
		drawing = true;
		setTimeout(paint, Math.max(0, drawn + frame - performance.now()));
	}
}

function paint(): void {
	drawing = false;
	drawn = performance.now();
	const some = queue.items.length > 0;
	if (byId("uploads").hidden === some) {
		const focused = document.activeElement;
		byId("welcome").hidden = some;
		byId("uploads").hidden = !some;
		if (focused instanceof HTMLElement && !focused.checkVisibility()) {
			document.querySelector<HTMLElement>(`${some ? "#uploads" : "#welcome"} [data-choose]`)?.focus();
		}
	}
	const shown = total.show(queue.items, queue.moved, drawn);
	list.show(shown);
	byId("nothing").hidden = shown.length > 0;
	write(byId("nothing"), total.filter === "failed" ? "No file has failed." : "No files here.");
}
