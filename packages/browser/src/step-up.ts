/** A request that needs a password which was given lately (RFC 9470): the user is asked for it, and the request is sent once more. */
import type { GatehouseOptions } from './api.js';
import { maxAgeOf } from './exchange.js';
import type { Held, TokenStore } from './token-store.js';

/** So often others may bring a token of their own in between. */
const MAX_TURNS = 3;

export function createStepUp(
  store: TokenStore,
  exchange: (request: Request, onSend: (held: Held | null) => void) => Promise<Response>,
  onReauthenticate: GatehouseOptions['onReauthenticate'],
): (request: Request) => Promise<Response> {
  /** One question for all requests that need the answer. */
  let asking: Promise<boolean> | undefined;

  return async (first) => {
    let request = first;
    for (let turn = 1, hasAsked = false; ; turn += 1) {
      const spare = request.clone();
      const sent: Partial<Held> = {};
      const response = await exchange(request, (held) => Object.assign(sent, held));
      const maxAge = maxAgeOf(response);
      if (maxAge === undefined || !onReauthenticate || turn > MAX_TURNS) return response;
      // With another token by now, perhaps of a password that was given for another request, it is sent before anybody is asked.
      if (sent.key === store.read()?.key) {
        if (hasAsked) return response;
        hasAsked = true;
        asking ??= onReauthenticate(maxAge).finally(() => (asking = undefined));
        if (!(await asking)) return response;
      }
      // What one user asked for is not repeated in the name of another.
      if (sent.who && sent.who !== store.read()?.who) return response;
      request = spare;
    }
  };
}
