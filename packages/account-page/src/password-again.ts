/** The password once more, before other sessions are ended by somebody who gave it too long ago (RFC 9470). */
import type { ErrorCode } from '@gatehouse/protocol';

import type { Service } from './ask.js';
import { find, write } from './dom.js';
import { explain } from './failures.js';
import { mountForm } from './form.js';

/** The page ends other sessions only for a user who gave the password so many seconds ago at most. */
export const RECENT_SECONDS = 15 * 60;

/** What the dialog returns when the service has taken the password. */
const GIVEN = 'given';

/** @returns what opens the dialog, and resolves with whether the password was given before the dialog was closed */
export function mountPasswordAgain(
  root: ParentNode,
  { client }: Service,
  username: string,
): (maxAgeSeconds: number) => Promise<boolean> {
  const dialog = find(root, '#password-again', HTMLDialogElement);
  const form = find(dialog, 'form', HTMLFormElement);
  // For password managers, which must know whose password it is.
  find(form, '#password-again-for', HTMLInputElement).defaultValue = username;
  const reset = mountForm({
    form,
    error: find(form, '#password-again-error', HTMLElement),
    send: async (fields) => {
      const [password = ''] = [fields.get('password')].map(String);
      try {
        await client.reauthenticate(password);
      } catch (error) {
        const refusal = explain(error);
        if (refusal.code === ('invalid_credentials' satisfies ErrorCode))
          return { ...refusal, words: 'The password is wrong.' };
        return refusal;
      }
      dialog.close(GIVEN);
      return null;
    },
    fieldFor: () => 'password',
  });
  find(form, '#password-again-cancel', HTMLButtonElement).addEventListener('click', () => dialog.close());

  return (maxAgeSeconds) => {
    write(dialog, '#password-again-age', `${maxAgeSeconds / 60} minutes`);
    dialog.returnValue = '';
    dialog.showModal();
    find(form, '#password-again-field', HTMLInputElement).focus();
    return new Promise((resolve) => {
      dialog.addEventListener(
        'close',
        () => {
          reset();
          resolve(dialog.returnValue === GIVEN);
        },
        { once: true },
      );
    });
  };
}
