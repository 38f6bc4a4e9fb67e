// "Remember me": a login that only this tab holds.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { openHouse, type House, type TestUser } from '../../support/house.js';
import {
  createJar,
  createLocks,
  createNetwork,
  createStorage,
  listen,
  openTab,
  until,
} from '../../support/tabs.js';

let house: House;
let url: string;
let user: TestUser;
let storage: ReturnType<typeof createStorage>;

beforeAll(async () => {
  house = await openHouse();
  url = await listen(await house.replica());
});
beforeEach(async () => {
  vi.stubGlobal('navigator', { locks: createLocks() });
  user = await house.user();
  storage = createStorage();
});
afterEach(() => vi.unstubAllGlobals());
afterAll(() => house.close());

const open = () => openTab({ url, storage });

describe('a login that is not remembered', () => {
  it('leaves nothing in the storage, through renewals and requests too', async () => {
    const page = open();
    await page.login({ ...user, remember: false });
    expect((await page.fetch(`${url}/sessions`)).status).toBe(200);
    // On a busy machine a password may take too long to judge: then nothing has changed.
    await vi.waitFor(() => page.changePassword(user.password, 'a lamp beside 7 quiet harbours'), {
      timeout: 200_000,
    });
    expect((await page.session())?.sub).toBe(user.id);
    expect(storage.items.size).toBe(0);
  });

  it('is over with the page, and no other tab has it', async () => {
    const page = open();
    const beside = open();
    await page.login({ ...user, remember: false });
    expect(await beside.session()).toBeNull();
    page.close();
    expect(await open().session()).toBeNull();
  });

  it('ends what the tabs shared, so that no older login comes back with the next page', async () => {
    const [page, beside] = [open(), open()];
    await beside.login(await house.user());
    await page.login({ ...user, remember: false });
    expect(storage.items.size).toBe(0);
    expect(await beside.session()).toBeNull();
    await until(() => beside.story().at(-1) === 'signed-out/other-tab');
    expect((await page.session())?.sub).toBe(user.id);
  });

  it('stays when another tab logs in, out, and somebody else in', async () => {
    const [page, beside] = [open(), open()];
    const { sid } = await page.login({ ...user, remember: false });
    await beside.login(user);
    await beside.logout();
    await beside.login(await house.user());
    expect((await page.session())?.sid).toBe(sid);
    expect(page.story()).toEqual(['signed-in/login']);
    await page.logout();
    expect((await beside.session())?.sub).not.toBe(user.id);
  });

  it('gives way to one that is remembered, in all tabs', async () => {
    const page = open();
    await page.login({ ...user, remember: false });
    const { sid } = await page.login(user);
    expect((await open().session())?.sid).toBe(sid);
    expect(page.story()).toEqual(['signed-in/login', 'signed-in/login']);
  });

  it.each(['bearer', 'cookie'] as const)('ends as soon as `sessionTtl` says, by %s', async (transport) => {
    const page = openTab({ url, storage, transport }, createNetwork(createJar().send));
    const session = await page.login({ ...user, sessionTtl: 900 });
    expect(session.session_exp - session.auth_time).toBe(900);
    const tooLong = page.login({ ...user, sessionTtl: 1e9 });
    await expect(tooLong).rejects.toMatchObject({ errors: [{ path: 'body/session_ttl' }] });
  });

  it('is refused for cookies, which all tabs share', async () => {
    const page = openTab({ url, transport: 'cookie' });
    const refusal = new TypeError('Cookies are of all tabs: in place of `remember`, use `sessionTtl`.');
    await expect(page.login({ ...user, remember: false })).rejects.toThrow(refusal);
    expect(page.network.sent).toEqual([]);
  });
});
