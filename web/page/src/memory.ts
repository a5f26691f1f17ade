import type { MemoryEvent, StreamUploadManager } from "@streamflow/client";
import { Budget } from "./budget.js";
import { byId, write } from "./dom.js";
import * as format from "./format.js";
import type { Leak, LevelChange, ServerMemory } from "./server.js";

/** Events that are kept in sight. */
const most = 50;

/** The memory of this tab and of the server, live. */
export class MemoryPanel {
	readonly #tab = new Budget(byId("tab"), "This tab");
	readonly #server = new Budget(byId("server"), "Server");
	readonly #events = byId("happened");
	readonly #brief = { tab: "", server: "" };
	#manager: StreamUploadManager;
	#lost = 0;

	constructor(manager: StreamUploadManager) {
		this.#manager = manager;
		const fold = byId("memory-fold");
		fold.addEventListener("click", () => {
			const folded = byId("memory").classList.toggle("folded");
			fold.setAttribute("aria-expanded", String(!folded));
		});
		this.#tell("Watching", "");
		setInterval(() => this.#measure(), 1_000);
		this.follow(manager);
	}

	/** Watches another manager from now on. */
	follow(manager: StreamUploadManager): void {
		this.#manager = manager;
		this.#lost = 0;
		const tell = (level: string) => (event: MemoryEvent) =>
			this.#tell(`This tab is at ${level}: ${percent(event.usage)} in use`, level);
		manager.on("memoryWarning", tell("warning"));
		manager.on("memoryCritical", tell("critical"));
		this.#measure();
	}

	showServer(memory: ServerMemory): void {
		const { limit_bytes, cached_bytes, leaks, leaked_bytes, waiters, process } = memory;
		const used = Math.max(0, memory.used_bytes - cached_bytes);
		this.#server.show({
			level: memory.level,
			limit: limit_bytes,
			used,
			cached: cached_bytes,
			thresholds: memory.thresholds,
			kinds: memory.kinds,
			facts: {
				Peak: format.bytes(memory.peak_bytes),
				Leaks: leaks > 0 ? `${leaks}, ${format.bytes(leaked_bytes)}` : "none",
				Process: process?.rss_bytes ? format.bytes(process.rss_bytes) : "unknown",
				Waiting: waiters > 0 ? String(waiters) : "none",
			},
		});
		this.#sum("server", `server ${format.bytes(used)}`);
	}

	/** Nothing is known of the server for now, or at all. */
	forgetServer(forGood: boolean): void {
		this.#server.forget(forGood);
		this.#sum("server", "");
	}

	showLevel({ to, from, usage }: LevelChange): void {
		const way = to === "normal" ? `is back to normal from ${from}` : `is at ${to}`;
		this.#tell(`The server ${way}: ${percent(usage)} in use`, to);
	}

	showLeak({ kind, bytes, count }: Leak): void {
		this.#tell(`The server lost a ${kind} of ${format.bytes(bytes)}, and took it back (${count} so far)`, "critical");
	}

	#measure(): void {
		const { memoryManager } = this.#manager;
		const { totalAllocated, peakMemoryUsage, leakedResources, resourceStats } = this.#manager.getMemoryStats();
		const kinds: Record<string, { active: number; bytes: number }> = {};
		for (const { type, size } of resourceStats) {
			const { active = 0, bytes = 0 } = kinds[type] ?? {};
			kinds[type] = { active: active + 1, bytes: bytes + size };
		}
		this.#tab.show({
			level: memoryManager.level,
			limit: memoryManager.limit,
			used: totalAllocated,
			cached: 0,
			thresholds: { warning: 0.7, critical: 0.9 },
			kinds,
			facts: {
				Peak: format.bytes(peakMemoryUsage),
				Leaks: leakedResources > 0 ? String(leakedResources) : "none",
			},
		});
		this.#sum("tab", `tab ${format.bytes(totalAllocated)}`);
		if (leakedResources > this.#lost) {
			this.#tell(
				`This tab lost ${format.count(leakedResources - this.#lost, "resource")}, and took them back`,
				"critical",
			);
			this.#lost = leakedResources;
		}
	}

	#sum(part: "tab" | "server", text: string): void {
		this.#brief[part] = text;
		write(byId("memory-brief"), Object.values(this.#brief).filter(Boolean).join(" · "));
	}

	#tell(text: string, level: string): void {
		const line = document.createElement("p");
		const time = document.createElement("time");
		time.textContent = new Date().toLocaleTimeString("en", { hourCycle: "h23" });
		line.dataset.level = level;
		line.append(time, text);
		this.#events.prepend(line);
		this.#events.children[most]?.remove();
	}
}

const percent = (fraction: number) => `${Math.round(fraction * 100)} %`;
