/** The page's own elements, each of the type that its markup says. */

type Constructor<T> = abstract new () => T;

/** The first element that fits; a page without it is a mistake of ours, which names itself. */
export function find<T extends Element>(root: ParentNode, selector: string, type: Constructor<T>): T {
  const element = root.querySelector(selector);
  if (element instanceof type) return element;
  throw new Error(`the page has no ${type.name} ${selector}`);
}

/** A copy of what a template holds. */
export function copyOf(template: string): DocumentFragment {
  const { content } = find(document, `template#${template}`, HTMLTemplateElement);
  return document.importNode(content, true);
}

export function write(root: ParentNode, selector: string, text: string): void {
  find(root, selector, HTMLElement).textContent = text;
}

/** A moment as text for people, and as a date for programs. */
export function writeTime(element: HTMLTimeElement, seconds: number, text: string, full = text): void {
  element.dateTime = new Date(seconds * 1000).toISOString();
  element.textContent = text;
  if (full === text) element.removeAttribute('title');
  else element.title = full;
}

/** Buttons that show what was typed into the field which they name, and hide it again. */
export function mountReveals(root: ParentNode): void {
  for (const button of root.querySelectorAll<HTMLButtonElement>('button[data-reveals]')) {
    const field = find(root, `#${button.dataset['reveals'] ?? ''}`, HTMLInputElement);
    button.addEventListener('click', () => {
      const isShown = field.type === 'password';
      field.type = isShown ? 'text' : 'password';
      button.setAttribute('aria-pressed', String(isShown));
    });
  }
}

/** Hides what a form's reveal buttons show: nobody wants a password to be readable while it is sent. */
export function conceal(root: ParentNode): void {
  for (const button of root.querySelectorAll<HTMLButtonElement>('button[data-reveals][aria-pressed="true"]'))
    button.click();
}
