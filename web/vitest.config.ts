import { defineConfig } from "vitest/config";

/** Tests in a browser. Browsers and servers share the machine: one file after the other is steadiest. */
const inBrowser = {
	globalSetup: "test/harness/setup.ts",
	testTimeout: 60_000,
	hookTimeout: 60_000,
	expect: { poll: { timeout: 20_000 } },
	fileParallelism: false,
};

export default defineConfig({
	test: {
		projects: [
			{ test: { name: "unit", include: ["client/test/**/*.test.ts"] } },
			{ test: { ...inBrowser, name: "chromium", include: ["test/*.test.ts"] } },
			{
				test: {
					...inBrowser,
					name: "firefox",
					include: ["test/{upload,stream,guide,origin,resilience,again}.test.ts"],
					env: { BROWSER: "firefox" },
				},
			},
			{ test: { ...inBrowser, name: "figures", include: ["figures/*.figures.ts"], testTimeout: 1_800_000 } },
		],
	},
});
