/** Gatehouse for a web page: log in and out, and a `fetch` that keeps the session alive. */
import type {
  Change,
  Credentials,
  Gatehouse,
  GatehouseOptions,
  ListedSession,
  Session,
  TokenStorage,
} from './api.js';
import { createCookieStore } from './cookies.js';
import { bodyOf, errorOf, type Body, GatehouseError, says, told } from './errors.js';
import { createExchange } from './exchange.js';
import { createRenewal, RETRY_MS, sleep } from './renewal.js';
import { createStepUp } from './step-up.js';
import { joinTabs } from './tabs.js';
import { claimsOf, createBearerStore, createMemory } from './tokens.js';
import { createWire } from './wire.js';

export { GatehouseError };
export type { Change, Credentials, Gatehouse, GatehouseOptions, ListedSession, Session, TokenStorage };

/** Nobody logs in and out faster. */
const MAX_TURNS = 3;

export function createGatehouse(options: GatehouseOptions = {}): Gatehouse {
  const { transport = 'bearer', storage = findStorage(), onReauthenticate } = options;
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

  const store = (isCookie ? createCookieStore : createBearerStore)(name, storage ?? createMemory(), emit);
  const tabs = joinTabs(name, (change) => {
    store.hear(change);
    // Who comes back as it was left has missed what happened, who hears of no name may be meant: cookies show nothing of it.
    if (isCookie && !change?.sessionId) void session().catch(() => undefined);
  });
  const { renew, renewAlone } = createRenewal(store, wire, tabs);
  const exchange = createExchange(store, wire);
  const fetchAsUser = createStepUp(
    store,
    (request, onSend) => exchange(request, renew, onSend),
    onReauthenticate,
  );

  async function session(): Promise<Session | null> {
    // Its value changes whenever somebody else may be signed in. Cookies do not show whose they are: there every change counts.
    const mark = isCookie ? 'key' : 'sid';
    for (let turn = 1; ; turn += 1) {
      store.wonder();
      if (!store.read()) return null;
      const request = wire.question('session');
      let asking: string | undefined;
      const response = await exchange(request, renew, (sent) => (asking = sent?.[mark]));
      const body = await bodyOf(response);
      const held = store.read();
      if (!held && (response.status === 401 || turn === MAX_TURNS)) return null;
      // Somebody has logged in or out meanwhile: the answer may be about who was signed in before.
      if (asking !== held?.[mark] && turn < MAX_TURNS) continue;
      if (!response.ok || !body['sid']) throw errorOf(response, body);
      const claims = body as unknown as Session;
      store.saw(claims);
      return claims;
    }
  }

  async function login({ username, password, remember, sessionTtl }: Credentials): Promise<Session> {
    const claims = await tabs.alone(async () => {
      const sentAtMs = performance.now();
      const response = await wire.post('login', {
        username,
        password,
        session_ttl: sessionTtl,
        ...(isCookie && { transport }),
      });
      const body = await bodyOf(response);
      if (!response.ok || !body.session_id) throw errorOf(response, body);
      store.keep(body, 'login', sentAtMs, remember === false);
      return claimsOf(body.access_token);
    });
    const signedIn = isCookie ? await session() : claims;
    if (signedIn) return signedIn;
    throw new GatehouseError('cookies_refused', 'The browser kept no cookie: it wants https, or localhost.');
  }

  async function logout(): Promise<void> {
    store.wonder();
    const held = store.read();
    if (!held) return;
    const response = await wire.post('logout', store.proof());
    const body = await bodyOf(response);
    // The service's own 401 says that there was nothing to end; what stands before it may have others.
    const isGone = response.status === 401 && says(body, 'invalid_token');
    if (response.status !== 204 && !isGone) throw errorOf(response, body);
    // Another answer may have told by now who it was.
    const sid = held.sid ?? store.read()?.sid;
    store.drop(sid, isGone && !sid ? 'ended' : 'logout');
  }

  async function logoutAll(exceptCurrent: boolean): Promise<number> {
    const request = wire.request('logout-all', { except_current: exceptCurrent });
    const response = await exchange(request, renewAlone);
    const body = await bodyOf(response);
    if (!response.ok || body.sessions_ended === undefined) throw errorOf(response, body);
    const held = store.read();
    if (held && !exceptCurrent) store.drop(held.sid, 'logout');
    return body.sessions_ended;
  }

  async function sessions(): Promise<ListedSession[]> {
    const response = await exchange(wire.question('sessions'), renew);
    const body = await bodyOf(response);
    if (!response.ok || !body.sessions) throw errorOf(response, body);
    return body.sessions;
  }

  async function endSession(id: string): Promise<void> {
    const request = wire.request(`sessions/${encodeURIComponent(id)}`, undefined, 'DELETE');
    const response = await exchange(request, renewAlone);
    if (response.status !== 204) throw errorOf(response, await bodyOf(response));
    store.drop(id, 'logout');
  }

  async function changePassword(current_password: string, new_password: string): Promise<void> {
    const before = store.read()?.sid;
    let sentAtMs = 0;
    async function ask(request: Request): Promise<{ response: Response; body: Body }> {
      const response = await exchange(request, renewAlone, () => (sentAtMs = performance.now()));
      return { response, body: await bodyOf(response) };
    }
    const change = () => ask(wire.request('password', { current_password, new_password }));
    const { response, body } = await change().catch(async () => {
      await sleep(RETRY_MS);
      const again = await change();
      if (!isCookie || !before || !says(again.body, 'invalid_credentials')) return again;
      // The password is another one by now where the lost answer has brought its cookies.
      const { response, body } = await ask(wire.question('session'));
      return body.sid && body.sid !== before ? { response, body: { session_id: body.sid } } : again;
    });
    if (!response.ok || !body.session_id) throw errorOf(response, body);
    store.keep(body, 'password', sentAtMs);
  }

  async function reauthenticate(password: string): Promise<void> {
    const sentAtMs = performance.now();
    const response = await exchange(wire.request('reauthenticate', { password }), renewAlone);
    const body = await bodyOf(response);
    // The answer has the token, or puts it into a cookie and names the session.
    if (!response.ok || !(body.access_token ?? body.session_id)) throw errorOf(response, body);
    if (body.access_token) store.takeUp(body.access_token);
    else store.keep(body, 'refresh', sentAtMs);
  }

  return {
    changePassword: (current, next) => told(() => tabs.alone(() => changePassword(current, next))),
    endSession: (id) =>
      told(async () => {
        // Before it has asked, a page with cookies does not know whether this one is its own.
        if (!store.read()?.sid) await session();
        return tabs.alone(() => endSession(id));
      }),
    login: async (credentials) => {
      if (isCookie && credentials.remember === false)
        throw new TypeError('Cookies are of all tabs: in place of `remember`, use `sessionTtl`.');
      return told(() => login(credentials));
    },
    logout: () => told(() => tabs.alone(logout)),
    logoutAll: ({ exceptCurrent = false } = {}) => told(() => tabs.alone(() => logoutAll(exceptCurrent))),
    reauthenticate: (password) => told(() => tabs.alone(() => reauthenticate(password))),
    session: () => told(session),
    sessions: () => told(sessions),
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const isOurs = wire.isTrusted(request.url) && !request.headers.has('authorization');
      return isOurs ? fetchAsUser(request) : wire.fetch(request);
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => tabs.close(),
  };
}

/** Pages in a sandbox have none. That of a server, where there is no location, would be one for all users. */
function findStorage(): TokenStorage | null {
  try {
    return 'location' in globalThis ? localStorage : null;
  } catch {
    return null;
  }
}
