import { beforeAll, expect, test } from "vitest";
import { openClient } from "./harness/page.js";
import { Site } from "./harness/site.js";
import { Streamflow } from "./harness/streamflow.js";

// The page is of one origin, the server of another.
let site: Site;
beforeAll(async () => {
	site = await Site.start("http://127.0.0.1:1/");
});

const length = 5_000_001;

/** Uploads from the page to another origin, with whatever takes headers of its own. */
async function upload(endpoint: string, config: object) {
	const page = await openClient(site);
	return page.evaluate(
		async ([endpoint, config, length]) => {
			const word = new TextEncoder().encode("streamflow ");
			const data = Uint8Array.from({ length }, (_, i) => word[i % word.length] as number);
			const manager = new window.streamflow.StreamUploadManager({ endpoint, retryAttempts: 0, ...config });
			const file = new File([data], "file.txt", { type: "text/plain" });
			const outcome = { url: "", savedBytes: 0, code: "", message: "" };
			return manager.uploadFile(file).then(
				({ url, savedBytes }) => ({ ...outcome, url, savedBytes }),
				({ code, message }: InstanceType<typeof window.streamflow.UploadError>) => ({ ...outcome, code, message }),
			);
		},
		[endpoint, config, length] as const,
	);
}

test.each([
	{ name: "in one request", config: {} },
	{ name: "in chunks", config: { chunkSize: 1 << 20 } },
	{ name: "with checksums and compression", config: { validateChunks: true, compressionEnabled: true } },
	{ name: "in parallel streams", config: { parallelStreams: 3 } },
	{ name: "with a token", config: { accessToken: "nobody-asks-for-it" } },
])("a server that allows the page's origin takes a file $name", async ({ config }) => {
	const server = await Streamflow.start("--cors-origin", new URL(site.url).origin);
	const { url, savedBytes, message } = await upload(server.url, config);
	expect(message).toBe("");
	expect(new URL(url).origin).toBe(new URL(server.url).origin);
	expect(server.size(url)).toBe(length);
	expect(savedBytes > 0).toBe("compressionEnabled" in config);
});

test("a server that doesn't is named, with what to allow", async () => {
	const server = await Streamflow.start();
	expect(await upload(server.url, {})).toMatchObject({
		code: "NETWORK_ERROR",
		message: expect.stringMatching(/check the connection, and that the server allows this page.*CORS/),
	});
	expect(server.finished()).toEqual([]);
});
