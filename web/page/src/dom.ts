/** An element of the page that must be there. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
	return document.getElementById(id) as T;
}

export function find<T extends Element = HTMLElement>(within: ParentNode, selector: string): T {
	return within.querySelector(selector) as T;
}

/** The content of a template, anew. */
export function clone(id: string): DocumentFragment {
	return byId<HTMLTemplateElement>(id).content.cloneNode(true) as DocumentFragment;
}

export function icon(name: string): SVGSVGElement {
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
	use.setAttribute("href", `#${name}`);
	svg.setAttribute("aria-hidden", "true");
	svg.append(use);
	return svg;
}

/** Sets a text where it isn't that already: what doesn't change costs no layout. */
export function write(element: Element, text: string): void {
	if (element.textContent !== text) {
		element.textContent = text;
	}
}

export function mark(element: Element, name: string, value: string): void {
	if (element.getAttribute(name) !== value) {
		element.setAttribute(name, value);
	}
}

/** How far a bar or meter goes, of 1; by a transform, so it takes no layout. */
export function fill(bar: HTMLElement, fraction: number): void {
	const scale = `scaleX(${Math.min(Math.max(fraction, 0), 1).toFixed(4)})`;
	if (bar.style.transform !== scale) {
		bar.style.transform = scale;
	}
}
