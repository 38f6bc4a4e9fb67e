/** Gatehouse for a web page: log in and out, and a `fetch` that keeps the session alive. */
import type { Change, Gatehouse, GatehouseOptions, Session, TokenStorage } from './api.js';
import { createCookiePurse } from './cookies.js';
import { bodyOf, errorOf, GatehouseError, says, told } from './errors.js';
import { createExchange } from './exchange.js';
import { createRenewal } from './renewal.js';
import { joinTabs } from './tabs.js';
import { claimsOf, createMemory, createTokenPurse } from './tokens.js';
import { createWire } from './wire.js';

export { GatehouseError };
export type { Change, Gatehouse, GatehouseOptions, Session, TokenStorage };

/** Nobody logs in and out faster. */
const MAX_TURNS = 3;

export function createGatehouse(options: GatehouseOptions = {}): Gatehouse {
  const { transport = 'bearer', storage = findStorage() } = options;
  const isCookie = transport === 'cookie';
  const wire = createWire(options);
  const name = `gatehouse:${transport}:${wire.root}`;
  const listeners = new Set<(change: Change) => void>();

  function emit(type: Change['type'], why: Change['why'], sessionId: string): void {
    const change = { type, why, sessionId };
    if (why !== 'other-tab') tabs.tell(change);
    // A listener that throws is reported as the page's own error, and stops nothing here.
    for (const listener of listeners) queueMicrotask(() => listener(change));
  }

  const purse = (isCookie ? createCookiePurse : createTokenPurse)(name, storage ?? createMemory(), emit);
  const tabs = joinTabs(name, (change) => {
    purse.hear(change);
    // Who comes back as it was left has missed what happened, who hears of no name may be meant: cookies show nothing of it.
    if (isCookie && !change?.sessionId) void session().catch(() => undefined);
  });
  const { renew, renewAlone } = createRenewal(purse, wire, tabs);
  const exchange = createExchange(purse, wire);

  async function session(): Promise<Session | null> {
    for (let turn = 1; ; turn += 1) {
      purse.wonder();
      if (!purse.read()) return null;
      const request = wire.question('session');
      let asking: string | undefined;
      const response = await exchange(request, renew, (held) => (asking = held?.key));
      const body = await bodyOf(response);
      const held = purse.read();
      if (response.status === 401 && !held) return null;
      // Somebody has logged in or out meanwhile: of whom an answer by cookie speaks cannot be told.
      if (isCookie && asking !== held?.key && turn < MAX_TURNS) continue;
      if (!response.ok || !body['sid']) throw errorOf(response, body);
      const claims = body as unknown as Session;
      purse.saw(claims);
      return claims;
    }
  }

  async function login(credentials: { username: string; password: string }): Promise<Session> {
    const { username, password } = credentials;
    const claims = await tabs.alone(async () => {
      const sentAtMs = performance.now();
      const response = await wire.post('login', { username, password, ...(isCookie && { transport }) });
      const body = await bodyOf(response);
      if (!response.ok || !body.session_id) throw errorOf(response, body);
      purse.keep(body, 'login', sentAtMs);
      return claimsOf(body.access_token);
    });
    const signedIn = isCookie ? await session() : claims;
    if (signedIn) return signedIn;
    throw new GatehouseError('cookies_refused', 'The browser kept no cookie: it wants https, or localhost.');
  }

  async function logout(): Promise<void> {
    purse.wonder();
    const held = purse.read();
    if (!held) return;
    const response = await wire.post('logout', purse.proof());
    const body = await bodyOf(response);
    // The service's own 401 says that there was nothing to end; what stands before it may have others.
    const isGone = response.status === 401 && says(body, 'invalid_token');
    if (response.status !== 204 && !isGone) throw errorOf(response, body);
    // Another answer may have told by now who it was.
    const sid = held.sid ?? purse.read()?.sid;
    purse.drop(sid, isGone && !sid ? 'ended' : 'logout');
  }

  async function logoutAll(exceptCurrent: boolean): Promise<number> {
    const request = wire.request('logout-all', { except_current: exceptCurrent });
    const response = await exchange(request, renewAlone);
    const body = await bodyOf(response);
    if (!response.ok || body.sessions_ended === undefined) throw errorOf(response, body);
    const held = purse.read();
    if (held && !exceptCurrent) purse.drop(held.sid, 'logout');
    return body.sessions_ended;
  }

  return {
    login: (credentials) => told(() => login(credentials)),
    logout: () => told(() => tabs.alone(logout)),
    logoutAll: ({ exceptCurrent = false } = {}) => told(() => tabs.alone(() => logoutAll(exceptCurrent))),
    session: () => told(session),
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const isOurs = wire.isTrusted(request.url) && !request.headers.has('authorization');
      return isOurs ? exchange(request, renew) : wire.fetch(request);
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => tabs.close(),
  };
}

/** Pages in a sandbox have none. */
function findStorage(): TokenStorage {
  try {
    return localStorage;
  } catch {
    return createMemory();
  }
}
