import { join, resolve } from "node:path";
import { root } from "../test/harness/paths.js";

/** What ARGS says, in the words of the other figures of bench/. */
export const options = parse(process.env.ARGS ?? "");

interface Options {
	/** Small enough for a busy machine; holds to no bound on time. */
	quick: boolean;
	/** Of the large file, in MiB. */
	size: number;
	rounds: number;
	/** Where the raw numbers go. */
	results: string;
}

function parse(args: string): Options {
	const words = args.split(/\s+/).filter(Boolean);
	const quick = words.includes("-quick");
	const options = {
		quick,
		size: quick ? 256 : 2048,
		rounds: quick ? 1 : 5,
		results: join(root, "bench", quick ? "out" : "results"),
	};
	const left = words.filter((word) => word !== "-quick");
	while (left.length > 0) {
		const [flag, value = ""] = left.splice(0, 2);
		if (flag === "-size" && Number(value) > 0) {
			options.size = Number(value);
		} else if (flag === "-rounds" && Number(value) > 0) {
			options.rounds = Number(value);
		} else if (flag === "-results" && value) {
			options.results = resolve(root, "bench", value);
		} else {
			throw new Error(`ARGS has ${flag} ${value}: want -quick, -size MiB, -rounds N or -results DIR`);
		}
	}
	return options;
}
