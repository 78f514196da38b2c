/** Shows the template with this id as the page, and answers with its place in the document. */
export function page(template: string): HTMLElement {
  const place = must(document.getElementById('page'), 'page');
  place.replaceChildren(copy(template));
  return place;
}

/** A copy of a template's content. */
export function copy(template: string): DocumentFragment {
  const found = document.getElementById(template);
  if (!(found instanceof HTMLTemplateElement)) {
    throw new Error(`the page has no template "${template}"`);
  }
  return document.importNode(found.content, true);
}

/** The element marked `data-part="name"`, of the given type. */
export function part<T extends Element>(within: ParentNode, name: string, type: new () => T): T {
  const found = within.querySelector(`[data-part="${name}"]`);
  if (!(found instanceof type)) {
    throw new Error(`the page has no part "${name}"`);
  }
  return found;
}

/** The element that a selector of our own template finds. */
export function must<T>(found: T | null, what: string): T {
  if (found === null) {
    throw new Error(`the page has no ${what}`);
  }
  return found;
}

/** Puts text in, only when it changed: a screen reader and the layout hear of nothing else. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Sets an attribute, only when it changed. */
export function mark(element: Element, attribute: string, value: string): void {
  if (element.getAttribute(attribute) !== value) {
    element.setAttribute(attribute, value);
  }
}
