/** What the page says beside its views: news, trouble, and questions before something is ended. */
import { find, write } from './dom.js';

const NEWS_MS = 6000;

let timer: ReturnType<typeof setTimeout> | undefined;

/** Says something for a moment; people who hear the page hear it too. */
export function say(words: string): void {
  const place = find(document, '#said', HTMLElement);
  place.textContent = words;
  clearTimeout(timer);
  timer = setTimeout(() => (place.textContent = ''), NEWS_MS);
}

/** Says what is wrong as long as it is; null takes it back. */
export function tellTrouble(words: string | null): void {
  const place = find(document, '#trouble', HTMLElement);
  if (place.textContent !== words) place.textContent = words ?? '';
}

export interface Question {
  title: string;
  words: string;
  /** What the button says that does it. */
  yes: string;
}

/** Asks before something is done that cannot be undone. The focus returns to where it was. */
export function confirm({ title, words, yes }: Question): Promise<boolean> {
  const dialog = find(document, 'dialog#confirm', HTMLDialogElement);
  write(dialog, '#confirm-title', title);
  write(dialog, '#confirm-words', words);
  write(dialog, '#confirm-yes', yes);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

/** Closes the dialogs, whose questions nobody will answer any more. */
export function withdrawQuestions(): void {
  for (const dialog of document.querySelectorAll<HTMLDialogElement>('dialog[open]')) dialog.close('no');
}
