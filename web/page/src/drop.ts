/** Takes files that are dropped anywhere on the page; `veil` is seen while they hover over it. */
export function receiveDrops(veil: HTMLElement, drop: (transfer: DataTransfer) => unknown): void {
	const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
	addEventListener("dragover", (event) => {
		if (hasFiles(event) && event.dataTransfer) {
			event.preventDefault();
			event.dataTransfer.dropEffect = "copy";
			veil.hidden = false;
		}
	});
	addEventListener("dragleave", (event) => {
		// From one element to the next is no leaving.
		veil.hidden = event.relatedTarget === null ? true : veil.hidden;
	});
	addEventListener("drop", (event) => {
		veil.hidden = true;
		if (hasFiles(event) && event.dataTransfer) {
			event.preventDefault();
			void drop(event.dataTransfer);
		}
	});
}
