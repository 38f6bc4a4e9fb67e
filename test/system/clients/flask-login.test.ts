// The login of docs/server-login.md in Flask: a server that takes the password from a form of its own.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { bearer, openHouse, type House, type Replica, type TestUser } from '../../support/house.js';
import { readPages } from '../../support/manual.js';
import { describeWhere, findPython, startProgram, type Running } from '../../support/programs.js';
import { retryOn503 } from '../../support/retry.js';

const PAGE = 'docs/server-login.md';

/** Behind one proxy, as the comment of the sample says; and what the session got, for us to see. */
const AROUND = `from flask import session
from werkzeug.middleware.proxy_fix import ProxyFix
from login import app

app.secret_key = "of this test"
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)

@app.get("/tokens")
def tokens():
    return session.get("tokens", {})
`;

const python = findPython('flask, requests');

describeWhere(
  python !== undefined,
  {
    name: 'a login in Flask',
    needs: 'Python with Flask and requests',
    required: 'GATEHOUSE_REQUIRE_PYTHON3',
  },
  () => {
    let house: House;
    let replica: Replica;
    let folder: string;
    let running: Running;
    let url: string;

    beforeAll(async () => {
      house = await openHouse();
      replica = await house.replica({ config: { trustProxy: ['127.0.0.1'] } });
      await replica.app.listen({ port: 0, host: '127.0.0.1' });
      const gatehouse = `http://127.0.0.1:${(replica.app.server.address() as AddressInfo).port}`;
      const sample = readPages()
        .find(({ path }) => path === PAGE)
        ?.blocks.find((block) => block.is === 'file' && block.name === 'try/login.py');
      if (sample?.is !== 'file') throw new Error(`${PAGE} has no try/login.py`);
      folder = await mkdtemp(join(tmpdir(), 'gatehouse-flask-'));
      await mkdir(join(folder, 'templates'));
      await writeFile(join(folder, 'templates/login.html'), '{% if wrong %}wrong{% endif %}');
      await writeFile(join(folder, 'templates/busy.html'), 'busy');
      await writeFile(join(folder, 'login.py'), sample.text);
      await writeFile(join(folder, 'around.py'), AROUND);
      const port = await findFreePort();
      url = `http://127.0.0.1:${port}`;
      const parameters = ['-m', 'flask', '--app', 'around', 'run', '--port', String(port)];
      const environment = { GATEHOUSE_URL: gatehouse };
      running = await startProgram(python ?? 'python3', parameters, { port, directory: folder, environment });
    });
    afterAll(async () => {
      await running.stop();
      await rm(folder, { recursive: true });
      await house.close();
    });

    async function logIn({ username, password }: TestUser) {
      const answer = await fetch(`${url}/login`, {
        method: 'POST',
        body: new URLSearchParams({ username, password }),
        headers: { 'x-forwarded-for': '198.51.100.7, 2001:db8::51', 'user-agent': 'a phone' },
        redirect: 'manual',
      });
      const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
      return { status: answer.status, body: await answer.text(), cookie };
    }

    it('keeps the tokens of the user, and tells where and on what the user is logged in', async () => {
      const user = await house.user();
      const { status, cookie } = await retryOn503(() => logIn(user));
      expect(status).toBe(302);
      const tokens = (await (await fetch(`${url}/tokens`, { headers: { cookie } })).json()) as {
        access_token: string;
      };
      expect(Object.keys(tokens).sort()).toEqual(['access_token', 'refresh_token']);
      const headers = bearer(tokens.access_token);
      const sessions = await retryOn503(() => replica.app.inject({ url: '/sessions', headers }));
      expect(sessions.json()).toMatchObject({
        sessions: [{ ip: '2001:db8::51', user_agent: 'a phone' }],
      });
    });

    it('says that the password was wrong', async () => {
      const user = { ...(await house.user()), password: 'wrong wrong wrong' };
      expect(await retryOn503(() => logIn(user))).toMatchObject({ status: 401, body: 'wrong', cookie: '' });
    });

    it('says 503, and nothing about the password, where Gatehouse is gone', async () => {
      const user = await house.user();
      await replica.app.close();
      expect(await logIn(user)).toMatchObject({ status: 503, body: 'busy', cookie: '' });
    });
  },
);
