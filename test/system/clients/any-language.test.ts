// The programs of examples/any-language, with the standard library of their language and one with Flask, before a real Gatehouse.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { bearer, claimsOf } from '../../support/house.js';
import {
  describeWhere,
  findPython,
  PATH,
  startProgram,
  works,
  type Running,
} from '../../support/programs.js';
import { retryOn503 } from '../../support/retry.js';
import { NO_VERDICTS, openStage, type Stage } from './stage.js';

const EXAMPLES = fileURLToPath(new URL('../../../examples/any-language/', import.meta.url));

const PYTHON_WITH_FLASK = findPython('flask') ?? 'python3';

interface Language {
  name: string;
  file: string;
  /** Another file that it needs beside it. */
  beside?: string;
  /** What says whether it is here. */
  version: [program: string, ...parameters: string[]];
  required?: string;
  /** Program and parameters that start the file, which has been copied into the directory. */
  command: (directory: string, port: number) => Promise<[program: string, ...parameters: string[]]>;
}

const LANGUAGES: Language[] = [
  {
    name: 'Python',
    file: 'gatehouse.py',
    version: ['python3', '--version'],
    required: 'GATEHOUSE_REQUIRE_PYTHON3',
    command: () => Promise.resolve(['python3', 'gatehouse.py']),
  },
  {
    name: 'Python with Flask',
    file: 'with_flask.py',
    beside: 'gatehouse.py',
    version: [PYTHON_WITH_FLASK, '-c', 'import flask'],
    required: 'GATEHOUSE_REQUIRE_PYTHON3',
    command: (_, port) =>
      Promise.resolve([PYTHON_WITH_FLASK, '-m', 'flask', '--app', 'with_flask', 'run', '--port', `${port}`]),
  },
  {
    name: 'PHP',
    file: 'gatehouse.php',
    version: ['php', '--version'],
    required: 'GATEHOUSE_REQUIRE_PHP',
    command: (_, port) => Promise.resolve(['php', '-S', `127.0.0.1:${port}`, 'gatehouse.php']),
  },
  {
    name: 'Ruby',
    file: 'gatehouse.rb',
    version: ['ruby', '--version'],
    required: 'GATEHOUSE_REQUIRE_RUBY',
    command: () => Promise.resolve(['ruby', 'gatehouse.rb']),
  },
  {
    name: 'Go',
    file: 'gatehouse.go',
    version: ['go', 'version'],
    command: async (directory) => {
      // The home of the user who runs the tests keeps Go's library compiled. Without optimization, that takes a third less.
      const env = { PATH, HOME: homedir(), GOTOOLCHAIN: 'local', GOPROXY: 'off', GOFLAGS: '-mod=mod' };
      await promisify(execFile)('go', ['build', '-gcflags=all=-N -l', 'gatehouse.go'], {
        cwd: directory,
        env,
      });
      return [join(directory, 'gatehouse')];
    },
  },
  {
    name: 'Java',
    file: 'Gatehouse.java',
    version: ['javac', '--version'],
    command: () => Promise.resolve(['java', 'Gatehouse.java']),
  },
];

/** A compiler that has no cache yet compiles its whole library, beside what else the machine does. */
const COMPILING_MS = 1_200_000;

// Beside one another: each program has a Gatehouse of its own, and waits for seconds where that stands still.
describe.concurrent.each(LANGUAGES)(
  'a program in',
  ({ name, file, beside, version: [program, ...parameters], required, command }) => {
    const needs = {
      name,
      needs: `working \`${[program, ...parameters].join(' ')}\``,
      ...(required !== undefined && { required }),
    };
    describeWhere(works(program, parameters), needs, () => {
      let stage: Stage;
      let directory: string;
      let running: Running;
      let url: string;

      beforeAll(async () => {
        stage = await openStage();
        directory = await mkdtemp(join(tmpdir(), 'gatehouse-language-'));
        for (const each of beside === undefined ? [file] : [file, beside])
          await copyFile(join(EXAMPLES, each), join(directory, each));
        const port = await findFreePort();
        url = `http://127.0.0.1:${port}/`;
        const [start, ...rest] = await command(directory, port);
        running = await startProgram(start, rest, {
          port,
          directory,
          environment: {
            GATEHOUSE: stage.way.url,
            CLIENT_ID: stage.client.id,
            CLIENT_SECRET: stage.client.secret,
            PORT: String(port),
          },
        });
      }, COMPILING_MS);
      afterAll(async () => {
        await running.stop();
        await rm(directory, { recursive: true });
        await stage.close();
      });

      const askOnce = async (authorization?: string) => {
        const answer = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
        return { status: answer.status, headers: answer.headers, body: await answer.text() };
      };
      /** Where Gatehouse takes longer than the program waits, on a machine that does other things too. */
      const ask = (token: string) => retryOn503(() => askOnce(`Bearer ${token}`));

      it('lets a live token in, and knows whose it is', async () => {
        const { access_token } = await stage.logIn();
        const answer = await ask(access_token);
        expect(answer).toMatchObject({ status: 200, body: `Hello ${claimsOf(access_token).sub}\n` });
        expect(answer.headers.get('refreshed-api-token')).toBeNull();
      });

      it('reads "bearer" in any case (RFC 9110, section 11.1)', async () => {
        const { access_token } = await stage.logIn();
        const answer = await retryOn503(() => askOnce(`bEARER ${access_token}`));
        expect(answer.status).toBe(200);
      });

      it('asks about every request, and refuses a token from the moment it was ended', async () => {
        const pair = await stage.logIn();
        const before = stage.way.asked().length;
        for (const status of [200, 200]) expect((await ask(pair.access_token)).status).toBe(status);
        expect(stage.way.asked().length - before).toBeGreaterThanOrEqual(2);
        await stage.logOut(pair);
        const answer = await ask(pair.access_token);
        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      });

      it('refuses what is no live access token: a refresh token, nonsense, what would be two parameters', async () => {
        const { access_token, refresh_token } = await stage.logIn();
        for (const token of [
          refresh_token,
          'nonsense',
          `x&token=${access_token}`,
          `x%26token=${access_token}`,
        ])
          expect([token, (await ask(token)).status]).toEqual([token, 401]);
      });

      it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic b3JkZXJzOng=', 'Bearer: x'])(
        'refuses %j without asking',
        async (authorization) => {
          const before = stage.way.asked().length;
          expect((await askOnce(authorization)).status).toBe(401);
          expect(stage.way.asked()).toHaveLength(before);
        },
      );

      it('relays the successor of a token near its end, kept out of caches, also with the 401 of the grace', async () => {
        const { access_token } = await stage.logIn();
        const { iat, exp } = claimsOf(access_token);
        try {
          for (const [at, status] of [
            [iat + 500, 200],
            [exp + 30, 401],
          ] as const) {
            await stage.house.database.clock.freeze(at);
            const { headers, ...answer } = await ask(access_token);
            expect([at, answer.status]).toEqual([at, status]);
            expect(claimsOf(headers.get('refreshed-api-token') ?? '').sub).toBe(claimsOf(access_token).sub);
            expect(headers.get('cache-control')).toBe('no-store');
          }
        } finally {
          await stage.house.database.clock.release();
        }
      });

      it.each(Object.entries(NO_VERDICTS))('says 503 when Gatehouse %s', async (_what, answer) => {
        const { access_token } = await stage.logIn();
        const before = stage.way.asked().length;
        stage.way.replace(answer);
        try {
          const told = await askOnce(bearer(access_token).authorization);
          expect([told.status, told.headers.get('retry-after'), told.body]).toEqual([503, '1', '']);
          // Nobody else hears of the token and the secret.
          expect(new Set(stage.way.asked().slice(before))).toEqual(new Set(['/introspect']));
        } finally {
          stage.way.replace(null);
        }
        expect((await ask(access_token)).status).toBe(200);
      });

      it('says 503 when Gatehouse is gone, and goes on when it is back', async () => {
        const { access_token } = await stage.logIn();
        await stage.way.leave();
        try {
          const told = await askOnce(bearer(access_token).authorization);
          expect([told.status, told.headers.get('retry-after')]).toEqual([503, '1']);
        } finally {
          await stage.way.comeBack();
        }
        expect((await ask(access_token)).status).toBe(200);
      });

      it('has written neither the token nor the secret down', async () => {
        const { access_token } = await stage.logIn();
        stage.way.replace((_, response) => response.writeHead(503).end());
        await askOnce(bearer(access_token).authorization);
        stage.way.replace(null);
        for (const secret of [access_token, stage.client.secret])
          expect(running.output()).not.toContain(secret);
      });
    });
  },
);
