import { build } from "esbuild";
import { root } from "./paths.js";

/** Bundles a module of the tests for the browser; the client comes along. */
export async function bundle(contents: string, loader: "ts" | "tsx" = "tsx"): Promise<string> {
	const { outputFiles } = await build({
		stdin: { contents, loader, resolveDir: `${root}/web/test` },
		bundle: true,
		write: false,
		format: "esm",
		jsx: "automatic",
		define: { "process.env.NODE_ENV": '"development"' },
		alias: { vue: "vue/dist/vue.esm-bundler.js" },
		logLevel: "warning",
	});
	return outputFiles[0]?.text ?? "";
}
