/** What the page asks Gatehouse, and the server's time, which it learns from the answers. */
import {
  createGatehouse,
  type Gatehouse,
  type GatehouseOptions,
  type Session as Claims,
} from '@gatehouse/browser';
import { createServerClock, ticks, type ServerClock } from './clock.js';

export interface Service {
  client: Gatehouse;
  /** Seconds since 1970 by the server's clock. */
  now: () => number;
  /** Who is signed in, or null. */
  session: () => Promise<Claims | null>;
  /** Asks for one of the service's paths, as whoever is signed in. */
  ask: (path: string, init?: RequestInit) => Promise<Response>;
  /** Sets a password with a code, as nobody: no cookie goes along. */
  setPassword: (code: string, password: string) => Promise<Response>;
  /** Why the last renewal was refused, in the service's code; null when none was. */
  refusal: () => string | null;
}

/** What a login, a refresh or a new password said, until the claims of its token are seen. */
interface Minted {
  expiresIn: number;
  sentAt: number;
  heardAt: number;
}

/**
 * @param url where Gatehouse is: the page's own directory
 * @param onReauthenticate asks for the password when it was given too long ago for what the page wants
 */
export function createService(
  url: string,
  onReauthenticate: NonNullable<GatehouseOptions['onReauthenticate']>,
): Service {
  const clock = createServerClock();
  let minted: Minted | null = null;
  let refusal: string | null = null;

  const listening: typeof fetch = async (input, init) => {
    const sentAt = ticks();
    const response = await fetch(input, init);
    const heardAt = ticks();
    clock.hear(response.headers.get('date'), sentAt, heardAt);
    if (/\/(?:login|refresh|password)$/.test(response.url)) {
      const body = await readBody(response.clone());
      const { expires_in: expiresIn, error } = body;
      if (typeof expiresIn === 'number') minted = { expiresIn, sentAt, heardAt };
      refusal = typeof error === 'string' ? error : null;
    }
    return response;
  };

  const client = createGatehouse({ url, transport: 'cookie', fetch: listening, onReauthenticate });

  return {
    client,
    now: () => clock.now() ?? 0,
    session: async () => {
      const sentAt = ticks();
      const claims = await client.session();
      if (claims !== null) learn(clock, claims, minted, sentAt);
      minted = null;
      return claims;
    },
    ask: (path, init) => client.fetch(new URL(path, url), { cache: 'no-store', ...init }),
    setPassword: (code, password) =>
      listening(new URL('password/reset', url), {
        method: 'POST',
        credentials: 'omit',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code, new_password: password }),
      }),
    refusal: () => refusal,
  };
}

/** A live token was issued and has not expired; of one that is new we know how much of its life was left. */
function learn(clock: ServerClock, { iat, exp }: Claims, minted: Minted | null, sentAt: number): void {
  clock.learn(iat, exp, sentAt, ticks());
  if (minted === null) return;
  const mintedAt = exp - minted.expiresIn;
  clock.learn(mintedAt, mintedAt + 1, minted.sentAt, minted.heardAt);
}

async function readBody(response: Response): Promise<Record<string, unknown>> {
  try {
    return Object(await response.json()) as Record<string, unknown>;
  } catch {
    return {};
  }
}
