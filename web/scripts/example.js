// Runs an adapter's example: npm run example react, beside a streamflow serve.
import { createServer, request } from "node:http";
import { build } from "esbuild";

const [name = "react", target = "http://127.0.0.1:8080"] = process.argv.slice(2);
const main = { react: "react/example/main.tsx", vue: "vue/example/main.ts" }[name];
if (!main) {
	throw new Error(`there is no example ${name}: take react or vue`);
}

const { outputFiles } = await build({
	absWorkingDir: new URL("..", import.meta.url).pathname,
	entryPoints: [main],
	bundle: true,
	write: false,
	format: "esm",
	jsx: "automatic",
	alias: { vue: "vue/dist/vue.esm-bundler.js" },
	define: {
		__VUE_OPTIONS_API__: "true",
		__VUE_PROD_DEVTOOLS__: "false",
		__VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
	},
});

const page = `<!doctype html><meta charset="utf-8"><title>Streamflow and ${name}</title><script type="module" src="/main.js"></script>`;

// Page and uploads are one origin, so that nothing has to be allowed.
const server = createServer((incoming, answer) => {
	if (incoming.url?.startsWith("/files/")) {
		const { method, headers } = incoming;
		const onward = request(new URL(incoming.url, target), { method, headers }, (reply) => {
			answer.writeHead(reply.statusCode ?? 502, reply.headers);
			reply.pipe(answer);
		});
		onward.on("error", () => answer.destroy());
		answer.on("close", () => onward.destroy());
		incoming.pipe(onward);
		return;
	}
	const script = incoming.url === "/main.js";
	answer.writeHead(200, { "Content-Type": script ? "text/javascript" : "text/html" });
	answer.end(script ? outputFiles[0]?.text : page);
});
server.listen(8081, "127.0.0.1", () => console.log("the example is at http://127.0.0.1:8081/"));
