/** Copies a text. False where the browser doesn't allow that. */
export async function copy(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		return copySelected(text);
	}
}

/** Without TLS a page has no clipboard, but may still copy what is selected. */
function copySelected(text: string): boolean {
	const focused = document.activeElement;
	const area = document.createElement("textarea");
	area.className = "unseen";
	area.value = text;
	document.body.append(area);
	area.select();
	const copied = document.execCommand("copy");
	area.remove();
	(focused as HTMLElement | null)?.focus({ preventScroll: true });
	return copied;
}
