/** A form that says what is wrong, waits when it is told to, and never sends twice at once. */
import type { ErrorCode } from '@gatehouse/protocol';

import { conceal, find, mountReveals } from './dom.js';
import { type Failure } from './failures.js';

export interface FormOptions {
  form: HTMLFormElement;
  /** Announces what went wrong: an element with the role `alert`. */
  error: HTMLElement;
  /** Sends it; null when all went well. */
  send: (fields: FormData) => Promise<Failure | null>;
  /** The field to go to after a failure with this code. */
  fieldFor: (code: string) => string;
}

/** @returns a function that takes everything back to how it was */
export function mountForm({ form, error, send, fieldFor }: FormOptions): () => void {
  const button = find(form, 'button:not([type="button"])', HTMLButtonElement);
  const label = button.textContent;
  let isBusy = false;
  let timer: ReturnType<typeof setInterval> | undefined;
  mountReveals(form);

  const free = () => {
    clearInterval(timer);
    isBusy = false;
    button.textContent = label;
    // Not `disabled`, which would drop the focus.
    button.setAttribute('aria-disabled', 'false');
  };
  const hold = () => {
    isBusy = true;
    button.setAttribute('aria-disabled', 'true');
  };
  /** Counts down on the button; what is announced says it once. */
  const holdFor = (seconds: number) => {
    const until = performance.now() + seconds * 1000;
    const count = () => {
      const left = Math.ceil((until - performance.now()) / 1000);
      if (left > 0) {
        button.textContent = `${label} (${left})`;
        return;
      }
      free();
      say(error, ['You can try again now.']);
    };
    hold();
    timer = setInterval(count, 1000);
    count();
  };

  const submit = async () => {
    const empty = [...form.querySelectorAll<HTMLInputElement>('input[required]')].find(
      ({ value }) => value === '',
    );
    if (empty !== undefined) {
      say(error, [`Enter ${lower(labelOf(form, empty))}.`]);
      empty.focus();
      return;
    }
    hold();
    conceal(form);
    say(error, []);
    const failure = await send(new FormData(form)).finally(free);
    if (failure === null) return;
    const { words, details, code, retryAfterSeconds } = failure;
    if (code === ('too_many_requests' satisfies ErrorCode) && retryAfterSeconds !== null) {
      say(error, [`${words} Wait ${retryAfterSeconds} s, then try again.`]);
      holdFor(retryAfterSeconds);
      return;
    }
    say(error, details.length > 0 ? details : [words]);
    const field = find(form, `[name="${fieldFor(code)}"]`, HTMLInputElement);
    field.focus();
    field.select();
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!isBusy) void submit();
  });
  return () => {
    free();
    conceal(form);
    form.reset();
    say(error, []);
  };
}

function say(error: HTMLElement, sentences: string[]): void {
  error.replaceChildren(
    ...sentences.map((sentence) => {
      const line = document.createElement('p');
      line.textContent = sentence;
      return line;
    }),
  );
}

function labelOf(form: HTMLFormElement, { id }: HTMLInputElement): string {
  return find(form, `label[for="${id}"]`, HTMLLabelElement).textContent;
}

function lower(text: string): string {
  return `your ${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}
