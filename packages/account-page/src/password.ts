/** "Password": the current one and a new one, which ends all sessions and opens another for this browser. */
import type { ErrorCode } from '@gatehouse/protocol';

import type { Service } from './ask.js';
import { find } from './dom.js';
import { explain } from './failures.js';
import { mountForm } from './form.js';

export function mountPassword(
  root: ParentNode,
  { client }: Service,
  username: string,
  onChanged: () => void,
): void {
  const form = find(root, '#change-password', HTMLFormElement);
  // For password managers, which must know whose password it is.
  find(form, '#password-for', HTMLInputElement).defaultValue = username;
  const reset = mountForm({
    form,
    error: find(root, '#password-error', HTMLElement),
    send: async (fields) => {
      try {
        const [current = '', next = ''] = ['current_password', 'new_password']
          .map((name) => fields.get(name))
          .map(String);
        await client.changePassword(current, next);
      } catch (error) {
        const refusal = explain(error);
        if (refusal.code === ('invalid_credentials' satisfies ErrorCode))
          return { ...refusal, words: 'The current password is wrong.' };
        return refusal;
      }
      reset();
      onChanged();
      return null;
    },
    fieldFor: (code) =>
      code === ('invalid_request' satisfies ErrorCode) ? 'new_password' : 'current_password',
  });
}
