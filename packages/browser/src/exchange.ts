/** A request with the token, sent twice at the most. */
import { bodyOf, says } from './errors.js';
import type { Held, TokenStore } from './token-store.js';
import type { Renew } from './renewal.js';
import type { Wire } from './wire.js';

export function createExchange(
  store: TokenStore,
  wire: Wire,
): (request: Request, renew: Renew, onSend?: (held: Held | null) => void) => Promise<Response> {
  async function send(request: Request, held: Held | null): Promise<Response> {
    if (held?.access) request.headers.set('authorization', `Bearer ${held.access}`);
    const response = await wire.fetch(request);
    const successor = response.headers.get('refreshed-api-token');
    // A redirect may have led elsewhere: no stranger says what our token is.
    if (successor && wire.isTrusted(response.url || request.url)) store.takeUp(successor);
    return response;
  }

  return async (request, renew, onSend) => {
    store.hear();
    const due = store.isDue() ? store.read() : null;
    // If that fails the request is sent all the same: the token may be in its grace, and the answer says more than ours.
    if (due) await renew(due).catch(() => undefined);
    const sent = store.read();
    const spare = request.clone();
    onSend?.(sent);
    const response = await send(request, sent);
    // A renewed token says no more of when the password was given.
    if (response.status !== 401 || maxAgeOf(response) !== undefined) return response;
    // A wrong password is a 401 too, and would be guessed twice.
    if (says(await bodyOf(response), 'invalid_credentials')) return response;
    if (sent && store.read()?.key === sent.key) {
      const refusal = await renew(sent);
      if (refusal) return refusal.clone();
    }
    const held = store.read();
    if (!held || held.key === sent?.key) return response;
    // What one user asked for is not repeated in the name of another.
    if (sent?.who && sent.who !== held.who) return response;
    onSend?.(held);
    return send(spare, held);
  };
}

/** How many seconds ago the password may have been given, where an answer says that it was longer ago (RFC 9470). */
export function maxAgeOf(response: Response): number | undefined {
  const challenge = response.headers.get('www-authenticate') ?? '';
  const [, seconds] = /insufficient_user_authentication.*\bmax_age="?(\d+)/.exec(challenge) ?? [];
  return response.status === 401 && seconds ? Number(seconds) : undefined;
}
