/** The view of somebody who is not signed in. */
import type { ErrorCode } from '@gatehouse/protocol';

import type { Service } from './ask.js';
import { find } from './dom.js';
import { explain } from './failures.js';
import { mountForm } from './form.js';
import { mountWithCode } from './with-code.js';

export interface SignInView {
  /** @param why what people should know about how they got here; null on a first visit */
  show: (why: string | null) => void;
  hide: () => void;
}

export function mountSignIn(service: Service): SignInView {
  const view = find(document, '#signed-out', HTMLElement);
  const form = find(view, '#sign-in', HTMLFormElement);
  const reason = find(view, '#why', HTMLElement);

  const reset = mountForm({
    form,
    error: find(view, '#sign-in-error', HTMLElement),
    send: async (fields) => {
      reason.hidden = true;
      try {
        const [username, password] = [fields.get('username'), fields.get('password')].map(String);
        await service.client.login({ username: username ?? '', password: password ?? '' });
        return null;
      } catch (error) {
        return explain(error);
      }
    },
    // Which of the two is wrong is not said; mistyped is the one that nobody sees.
    fieldFor: (code) => (code === ('invalid_request' satisfies ErrorCode) ? 'username' : 'password'),
  });

  const withCode = mountWithCode(view, service, () => {
    reason.textContent = 'The password is set. Sign in with it.';
    reason.hidden = false;
    find(form, '#username', HTMLInputElement).focus();
  });

  return {
    show: (why) => {
      reason.textContent = why;
      reason.hidden = why === null;
      if (!view.hidden) return;
      reset();
      view.hidden = false;
      find(form, '#username', HTMLInputElement).focus();
    },
    hide: () => {
      view.hidden = true;
      reset();
      withCode.leave();
    },
  };
}
