import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		projects: [
			{ test: { name: "unit", include: ["client/test/**/*.test.ts"] } },
			{
				test: {
					name: "browser",
					include: ["test/**/*.test.ts"],
					globalSetup: "test/harness/setup.ts",
					testTimeout: 60_000,
					hookTimeout: 60_000,
					expect: { poll: { timeout: 20_000 } },
					// Browsers and servers share the machine: one file after the other measures best.
					fileParallelism: false,
				},
			},
		],
	},
});
