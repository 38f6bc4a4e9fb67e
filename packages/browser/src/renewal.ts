/** A refresh: one at a time, no more than needed, and signed out only if the service says so. */
import { bodyOf, errorOf, retryAfterOf, says } from './errors.js';
import type { Held, TokenStore } from './token-store.js';
import type { Tabs } from './tabs.js';
import type { Wire } from './wire.js';

/**
 * Renews what a request was sent with. Undefined when the matter is decided: renewed, by us or by another tab, or over.
 * A response when it is not: the refusal (429, 503, …) of a renewal that could not be made.
 *
 * @throws where nothing answered, or something that is not Gatehouse, with a 2xx
 */
export type Renew = (sent: Held) => Promise<Response | undefined>;

/** Before what had no answer is sent again. */
export const RETRY_MS = 1_000;
/** What another tab has written is visible here by then. */
const SETTLE_MS = 500;
/** A proxy that is down for maintenance may name an hour: a try each minute does no harm. */
const MAX_WAIT_SECONDS = 60;

export function createRenewal(
  store: TokenStore,
  wire: Wire,
  tabs: Tabs,
): { renew: Renew; renewAlone: Renew } {
  /** The last refusal, about which refresh token, and until when asking again would be no use. */
  let refusal: { response: Response; refresh: string | undefined; untilMs: number } | undefined;
  const flights = new Map<string, Promise<Response | undefined>>();

  /** For whoever has the turn already. */
  async function renewAlone(sent: Held): Promise<Response | undefined> {
    const held = store.read();
    if (held?.key !== sent.key) return undefined;
    const { refresh } = held;
    if (refusal && refusal.refresh === refresh && performance.now() < refusal.untilMs)
      return refusal.response;
    let sentAtMs = 0;
    const ask = async () => {
      sentAtMs = performance.now();
      const response = await wire.post('refresh', store.proof());
      return { response, body: await bodyOf(response) };
    };
    // The service repeats a lost answer, but not for long: a token that comes back later counts as stolen.
    let answer = await ask().catch(() => sleep(RETRY_MS).then(ask));
    const isSuperseded = says(answer.body, 'refresh_superseded');
    if (isSuperseded) {
      await sleep(SETTLE_MS);
      if (store.read()?.refresh !== refresh) return undefined;
      // The browser has put the newer cookie in its place.
      if (refresh === undefined) answer = await ask();
    }
    const { response, body } = answer;
    if (response.ok && body.session_id) {
      store.keep(body, 'refresh', sentAtMs);
      return undefined;
    }
    // A captive portal, perhaps: what it says must not pass for the answer to what the page asked for.
    if (response.ok) throw errorOf(response, body);
    if (response.status === 401 && says(body, 'invalid_token', 'refresh_reused')) {
      store.drop(held.sid, 'ended');
      return undefined;
    }
    // Somebody holds a newer token that we cannot see: ours, sent once more, would soon look like theft.
    const isSpent = isSuperseded && refresh !== undefined;
    const waitSeconds = isSpent ? Infinity : Math.min(retryAfterOf(response) ?? 1, MAX_WAIT_SECONDS);
    refusal = { response, refresh, untilMs: performance.now() + waitSeconds * 1_000 };
    return response;
  }

  return {
    renewAlone,
    /** One for all requests of this tab that need the same. */
    renew: (sent) => {
      let flight = flights.get(sent.key);
      if (!flight) {
        flight = tabs.alone(() => renewAlone(sent)).finally(() => flights.delete(sent.key));
        flights.set(sent.key, flight);
      }
      return flight;
    },
  };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
