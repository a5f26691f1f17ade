import { StreamUploadManager } from "@streamflow/client";

const manager = new StreamUploadManager({ endpoint: document.documentElement.dataset.uploads ?? "./files/" });
const input = document.querySelector("input") as HTMLInputElement;
input.onchange = () => {
	for (const file of input.files ?? []) {
		const line = document.createElement("li");
		document.querySelector("ul")?.append(line);
		const show = (percentage: number) => {
			line.textContent = `${file.name}: ${Math.floor(percentage)} %`;
		};
		show(0);
		manager.startStreaming(file, undefined, { onProgress: ({ percentage }) => show(percentage) }).then(
			() => show(100),
			(error: unknown) => line.append(` ${String(error)}`),
		);
	}
};
