/** "Password": the current one and a new one, which ends all other sessions. */
import type { ErrorCode } from '@gatehouse/protocol';

import type { Service } from './ask.js';
import { find } from './dom.js';
import { explain, findRefusal } from './failures.js';
import { mountForm } from './form.js';

export function mountPassword(
  root: ParentNode,
  service: Service,
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
      const body = JSON.stringify({
        current_password: fields.get('current_password'),
        new_password: fields.get('new_password'),
      });
      const headers = { 'content-type': 'application/json' };
      try {
        const response = await service.ask('password', { method: 'POST', headers, body });
        const refusal = await findRefusal(response);
        if (refusal?.code === ('invalid_credentials' satisfies ErrorCode))
          return { ...refusal, words: 'The current password is wrong.' };
        if (refusal !== null) return refusal;
      } catch (error) {
        return explain(error);
      }
      reset();
      onChanged();
      return null;
    },
    fieldFor: (code) =>
      code === ('invalid_request' satisfies ErrorCode) ? 'new_password' : 'current_password',
  });
}
