// What a page believes of an answer: nothing here asks a service, so that answers can be what no service of ours gives.
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import {
  answer,
  createStorage,
  hold,
  offline,
  openTab,
  pairOf,
  unavailable,
  until,
  type Fate,
  type Tab,
} from '../../support/tabs.js';

const url = 'https://gatehouse.test';
const CREDENTIALS = { username: 'zoë', password: 'correct horse battery staple' };
const PAIR = pairOf('sid');
const refused = answer(401, { error: 'invalid_token' });
/** As the service answers to an end. */
const done: Fate = () => Promise.resolve(new Response(null, { status: 204 }));
const LISTED = '00000000-0000-4000-8000-000000000000';

beforeEach(() => {
  vi.stubGlobal('navigator', undefined);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** A page whose user is signed in, and which knows the id of the session, with the network's memory of that wiped. */
async function openSignedIn(transport: 'bearer' | 'cookie', storage = createStorage()): Promise<Tab> {
  const page = openTab({ url, transport, storage });
  page.network.next('/login', answer(200, PAIR));
  if (transport === 'cookie') page.network.next('/session', answer(200, { sid: 'sid' }));
  await page.login(CREDENTIALS);
  page.network.sent.length = 0;
  page.changes.length = 0;
  return page;
}

/** Says, as another tab does, that the session is over. */
function endElsewhere(transport: 'bearer' | 'cookie'): void {
  const channel = new BroadcastChannel(`gatehouse:${transport}:${url}`);
  channel.postMessage({ type: 'signed-out', why: 'logout', sessionId: 'sid' });
  onTestFinished(() => channel.close());
}

interface Verb {
  path: string;
  work: (page: Tab) => Promise<unknown>;
  /** The body of its success. */
  success: object;
}

const VERBS: Verb[] = [
  { path: '/login', work: (page) => page.login(CREDENTIALS), success: PAIR },
  { path: '/session', work: (page) => page.session(), success: { sid: 'sid' } },
  { path: '/sessions', work: (page) => page.sessions(), success: { sessions: [] } },
  { path: '/logout-all', work: (page) => page.logoutAll(), success: { sessions_ended: 1 } },
  { path: '/password', work: (page) => page.changePassword('old', 'new'), success: PAIR },
  { path: '/reauthenticate', work: (page) => page.reauthenticate('right'), success: PAIR },
];

describe.each(['bearer', 'cookie'] as const)('by %s,', (transport) => {
  it.each(VERBS)('$path is no success under another status', async ({ path, work, success }) => {
    const page = await openSignedIn(transport);
    page.network.next(path, answer(500, { ...success, error: 'server_error' }));
    await expect(work(page)).rejects.toMatchObject({ code: 'server_error', status: 500 });
    expect(page.changes).toEqual([]);
  });

  it.each(VERBS)('$path is no success when its answer says nothing of it', async ({ path, work }) => {
    const page = await openSignedIn(transport);
    page.network.next(path, answer(200, { hello: 'captive portal' }));
    await expect(work(page)).rejects.toMatchObject({ code: 'unexpected_answer', status: 200 });
    expect(page.changes).toEqual([]);
  });

  it('a logout of a session that was over is a logout', async () => {
    const page = await openSignedIn(transport);
    page.network.next('/logout', refused);
    await page.logout();
    expect(page.story()).toEqual(['signed-out/logout']);
  });

  it.each<[string, Fate, object | null]>([
    ['nobody', refused, null],
    ['who has logged in elsewhere since', answer(200, { sid: 'another' }), { sid: 'another' }],
  ])(
    'the late answer on who is signed in is not believed after a logout, but %s is',
    async (_who, later, who) => {
      const page = await openSignedIn(transport);
      const late = hold();
      page.network.next('/session', (go) => late.fate(() => answer(200, { sid: 'sid' })(go)), later);
      page.network.next('/logout', done);
      page.network.next('/refresh', refused);
      const asking = page.session();
      await late.arrived;
      await page.logout();
      late.letGo();
      // Who carries no token needs not ask: nobody can have logged in unseen.
      expect(await asking).toEqual(transport === 'bearer' ? null : who);
    },
  );

  it('the late answer on who is signed in is not believed after another login', async () => {
    const page = await openSignedIn(transport);
    const late = hold();
    page.network.next('/session', (go) => late.fate(() => answer(200, { sid: 'sid' })(go)));
    page.network.next('/session', ...Array<Fate>(2).fill(answer(200, { sid: 'another' })));
    page.network.next('/login', answer(200, pairOf('another')));
    const asking = page.session();
    await late.arrived;
    await page.login(CREDENTIALS);
    late.letGo();
    expect(await asking).toEqual({ sid: 'another' });
  });

  it('a page that knows of its session ends another one without asking for its own', async () => {
    const page = await openSignedIn(transport);
    page.network.next(`/sessions/${LISTED}`, done);
    await page.endSession(LISTED);
    expect(page.network.sent.map(({ path }) => path)).toEqual([`/sessions/${LISTED}`]);
  });

  it('a new password is refused where nobody is signed in', async () => {
    const page = openTab({ url, transport, storage: createStorage() });
    page.network.next('/password', refused);
    page.network.next('/refresh', refused);
    await expect(page.changePassword('old', 'new')).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('the end of all sessions is told although this one was gone before the answer came', async () => {
    const page = await openSignedIn(transport);
    const late = hold();
    page.network.next('/logout-all', (go) => late.fate(() => answer(200, { sessions_ended: 3 })(go)));
    page.network.next('/logout', done);
    const ending = page.logoutAll();
    await late.arrived;
    // In another tab: without locks, they do not wait for each other.
    endElsewhere(transport);
    await until(() => page.changes.length === 1);
    late.letGo();
    expect(await ending).toBe(3);
    expect(page.story()).toEqual(['signed-out/other-tab']);
  });

  it('nothing is asked when another tab names the session that it speaks of', async () => {
    const page = await openSignedIn(transport);
    endElsewhere(transport);
    await until(() => page.changes.length === 1);
    expect(page.network.sent).toEqual([]);
  });
});

it('an answer on who is signed in is not believed, however often others log in, where nobody is in the end', async () => {
  const page = await openSignedIn('bearer');
  const after =
    (work: () => Promise<unknown>): Fate =>
    async (go) => {
      await work();
      return answer(200, { sid: 'sid' })(go);
    };
  const login = after(() => page.login(CREDENTIALS));
  page.network.next('/login', answer(200, pairOf('second')), answer(200, pairOf('third')));
  page.network.next('/logout', done);
  page.network.next(
    '/session',
    login,
    login,
    after(() => page.logout()),
  );
  expect(await page.session()).toBe(null);
});

describe('by cookie, a new password whose answer is lost, and which is wrong when it is asked for again,', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout'] }).setTimerTickMode('nextTimerAsync');
  });
  afterEach(() => void vi.useRealTimers());

  const wrong = answer(401, { error: 'invalid_credentials' });
  const paths = ({ network }: Tab) => network.sent.map(({ path }) => path);

  it('was set where the cookies are of another session by now', async () => {
    const page = await openSignedIn('cookie');
    page.network.next('/password', offline, wrong);
    page.network.next('/session', answer(200, { sid: 'another' }));
    await page.changePassword('old', 'new');
    expect(page.changes).toEqual([{ type: 'signed-in', why: 'password', sessionId: 'another' }]);
  });

  it.each([
    ['are of the same session', answer(200, { sid: 'sid' })],
    ['cannot be asked of', unavailable],
  ])('was not, as far as is known, where they %s', async (_what, session) => {
    const page = await openSignedIn('cookie');
    page.network.next('/password', offline, wrong);
    page.network.next('/session', session);
    await expect(page.changePassword('old', 'new')).rejects.toMatchObject({ code: 'invalid_credentials' });
    expect(paths(page)).toEqual(['/password', '/password', '/session']);
    expect(page.changes).toEqual([]);
  });

  it('is not known to have been set by a page that did not know whose its cookies were', async () => {
    const page = openTab({ url, transport: 'cookie', storage: createStorage() });
    page.network.next('/password', offline, wrong);
    await expect(page.changePassword('old', 'new')).rejects.toMatchObject({ code: 'invalid_credentials' });
    expect(paths(page)).toEqual(['/password', '/password']);
  });

  it('is another matter with a token, which shows that nothing has changed', async () => {
    const page = await openSignedIn('bearer');
    page.network.next('/password', offline, wrong);
    await expect(page.changePassword('old', 'new')).rejects.toMatchObject({ code: 'invalid_credentials' });
    expect(paths(page)).toEqual(['/password', '/password']);
  });

  it('is another matter where the second answer says something else', async () => {
    const page = await openSignedIn('cookie');
    page.network.next('/password', offline, unavailable);
    await expect(page.changePassword('old', 'new')).rejects.toMatchObject({
      code: 'temporarily_unavailable',
    });
    expect(paths(page)).toEqual(['/password', '/password']);
  });
});

it('the time of the token that comes with a new password counts from when it was asked for', async () => {
  let clockMs = 1e9;
  vi.spyOn(performance, 'now').mockImplementation(() => clockMs);
  const page = await openSignedIn('bearer');
  clockMs += 300_000;
  page.network.next('/password', (go) => {
    clockMs += 5_000;
    return answer(200, pairOf('another'))(go);
  });
  await page.changePassword('old', 'new');
  page.network.next('/sessions', ...Array<Fate>(2).fill(answer(200, { sessions: [] })));
  page.network.next('/refresh', unavailable);
  clockMs += 594_999;
  await page.sessions();
  expect(page.network.count('/refresh')).toBe(0);
  clockMs += 1;
  await page.sessions();
  expect(page.network.count('/refresh')).toBe(1);
});

it('a page that carries its tokens asks nothing when it comes back by the back button', async () => {
  const events = new EventTarget();
  vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
  const page = await openSignedIn('bearer');
  events.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
  expect(page.network.sent).toEqual([]);
});
