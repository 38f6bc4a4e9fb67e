/** "I have a code": a code that an administrator has given sets a password, for who forgot it or is invited. */
import type { ErrorCode } from '@gatehouse/protocol';

import type { Service } from './ask.js';
import { find } from './dom.js';
import { explain, findRefusal, type Failure } from './failures.js';
import { mountForm } from './form.js';

export interface WithCode {
  /** Back to the form that signs in. */
  leave: () => void;
}

/** @param onSet is called when a password was set, with the other form shown again */
export function mountWithCode(view: ParentNode, service: Service, onSet: () => void): WithCode {
  const form = find(view, '#with-code', HTMLFormElement);
  const signIn = find(view, '#sign-in', HTMLFormElement);
  const title = find(view, '#sign-in-title', HTMLElement);

  function show(isShown: boolean): void {
    reset();
    form.hidden = !isShown;
    signIn.hidden = isShown;
    title.textContent = isShown ? 'Set a password' : 'Sign in';
  }

  const reset = mountForm({
    form,
    error: find(view, '#with-code-error', HTMLElement),
    send: async (fields) => {
      const [code = '', password = ''] = ['code', 'new_password'].map((name) => fields.get(name)).map(String);
      const failure = await send(service, code, password);
      if (failure !== null) return failure;
      show(false);
      onSet();
      return null;
    },
    fieldFor: (code) => (code === ('invalid_request' satisfies ErrorCode) ? 'new_password' : 'code'),
  });

  find(view, '#have-code', HTMLButtonElement).addEventListener('click', () => {
    show(true);
    find(form, '#code', HTMLInputElement).focus();
  });
  find(form, '#have-no-code', HTMLButtonElement).addEventListener('click', () => {
    show(false);
    find(signIn, '#username', HTMLInputElement).focus();
  });
  return {
    leave: () => {
      if (!form.hidden) show(false);
      reset();
    },
  };
}

async function send(service: Service, code: string, password: string): Promise<Failure | null> {
  try {
    // As it may have been written down, or pasted.
    const typed = code.replaceAll(/\s/g, '').toLowerCase();
    const failure = await findRefusal(await service.setPassword(typed, password));
    if (failure?.code !== ('invalid_credentials' satisfies ErrorCode)) return failure;
    return {
      ...failure,
      words: 'The code is wrong, was used before, or counts no more. Ask for another one.',
    };
  } catch (error) {
    return explain(error);
  }
}
