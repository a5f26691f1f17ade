// Runs tus-js-client and Uppy, in this process or in Chromium. Each line of
// standard input is a job as client.mjs says, each line of standard output its
// result; they go together by id. Jobs with the same state share what a client
// remembers of its uploads.
import { createReadStream, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { FileUrlStorage } from "tus-js-client";
import { viaTus, viaUppy } from "./client.mjs";

const bundle = await build({
  entryPoints: [fileURLToPath(new URL("page.mjs", import.meta.url))],
  bundle: true,
  write: false,
  format: "iife",
});
const page = `<!doctype html><meta charset=utf-8><input type=file><script>${bundle.outputFiles[0].text.replaceAll("</script", "<\\/script")}</script>`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const contexts = new Map();

function inNode(job) {
  const file = createReadStream(job.file);
  const storage = { urlStorage: new FileUrlStorage(job.state) };
  if (job.client === "uppy") return viaUppy(job, Object.assign(file, { size: statSync(job.file).size }), storage);
  return viaTus(job, job.defer ? file.pipe(new PassThrough()) : file, storage);
}

// The page is of the server's own origin unless the job names another, and the
// only thing the server did not answer itself. So it comes from no address, and
// Chromium would ask a person before it lets such a page of another origin speak
// to this machine.
async function inChromium(job) {
  if (!contexts.has(job.state)) {
    contexts.set(job.state, browser.newContext({ permissions: ["local-network-access"] }));
  }
  const context = await contexts.get(job.state);
  const tab = await context.newPage();
  const address = new URL("/interop.html", job.origin ?? job.endpoint).href;
  await tab.route(address, (route) => route.fulfill({ contentType: "text/html", body: page }));
  await tab.goto(address);
  await tab.unrouteAll();
  await tab.setInputFiles("input", job.file);
  const result = await tab.evaluate((job) => globalThis.run(job), job);
  await tab.close();
  return result;
}

const late = (ms) => new Promise((resolve) => setTimeout(resolve, ms, { error: "timeout" }).unref());

for await (const line of createInterface(process.stdin)) {
  const job = JSON.parse(line);
  const done = job.where === "chromium" ? inChromium(job) : inNode(job);
  Promise.race([done, late(job.timeout)])
    .catch((error) => ({ error: String(error.stack ?? error) }))
    .then((result) => process.stdout.write(`${JSON.stringify({ id: job.id, ...result })}\n`));
}
await browser.close();
process.exit();
