// The rule of Airflow's task client on Gatehouse: each row of the page's table.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { expect } from 'vitest';

import { PATH } from '../../../support/programs.js';
import { NO_VERDICTS } from '../../clients/stage.js';
import { describeMove, type Moved, type Pair, type Rows } from './moved.js';
import { refused } from './shared.js';

/** A task that an executor runs. */
interface Work {
  /** Waits until it has said this word twice from now on; fails when it ends meanwhile. */
  beats: (word: 'alive' | 'unknown') => Promise<void>;
  /** Waits for its end. */
  end: () => Promise<{ status: number | null; errors: string }>;
}

/** Starts an executor whose task beats, again where nobody could open a session on a busy machine. */
async function work(moved: Moved, id: string): Promise<Work> {
  for (;;) {
    const { python, directory, environment, url } = moved;
    const child = spawn(python, ['executor.py', id], {
      cwd: directory,
      env: { PATH, ...environment, API: url, TOKEN_S: '60', PAUSE_S: '0.05' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const words: string[] = [];
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => words.push(...text.trim().split('\n')));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const closed = once(child, 'close') as Promise<[number | null]>;
    const end = async () => ({ status: (await closed)[0], errors });
    await Promise.race([once(child.stdout, 'data'), closed]);
    if (child.exitCode !== null && errors.includes('Unavailable')) continue;
    return {
      end,
      beats: async (word) => {
        const from = words.length;
        const isThere = () => words.slice(from).filter((said) => said === word).length >= 2;
        while (!isThere()) {
          const [status] = await Promise.race([once(child.stdout, 'data'), closed]);
          if (typeof status !== 'string') throw new Error(`the executor ended: ${errors}`);
        }
      },
    };
  }
}

/** Tokens for a task, from its executor. */
async function openTask(moved: Moved, id: string): Promise<Pair> {
  const claims = { external_id: `task:${id}`, refresh: false };
  return (await moved.asClient('POST', '/sessions', claims)).body as unknown as Pair;
}

async function endTask(moved: Moved, id: string): Promise<void> {
  const { status } = await moved.asClient('POST', '/logout-all', { external_id: `task:${id}` });
  expect(status).toBe(200);
}

/** Asks for the address of each status, with the client of the program. */
const EACH_STATUS = `import sys
import httpx
from from_airflow import TaskClient

client = TaskClient("token-0", base_url=sys.argv[1])
for status in sys.argv[2:]:
    try:
        client.get("/" + status)
        print("passed")
    except httpx.HTTPStatusError as error:
        print(error.response.status_code)
`;

const rows: Rows = {
  'takes heartbeats of the task whose token it is': async (moved) => {
    const pair = await openTask(moved, 'a');
    expect(pair).not.toHaveProperty('refresh_token');
    const { access_token: token } = pair;
    expect((await moved.ask('PUT /task-instances/a/heartbeat', { token })).status).toBe(204);
    const other = await moved.ask('PUT /task-instances/b/heartbeat', { token });
    expect(other).toMatchObject(refused('insufficient_scope', 403));
    expect(await moved.ask('PUT /task-instances/a/heartbeat')).toMatchObject(refused('invalid_token'));
  },

  'takes the successor before it raises': async ({ python, directory, environment }) => {
    const statuses = [200, 302, 400, 403, 404, 409, 422, 500, 503];
    const asked: (string | undefined)[] = [];
    const server = createServer(({ url = '', headers: { authorization } }, response) => {
      asked.push(authorization);
      // The second time the token is a new one.
      const status = url === '/401' && authorization !== 'Bearer token-9' ? 200 : Number(url.slice(1));
      response.writeHead(status, { 'Refreshed-API-Token': `token-${asked.length}` }).end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const parameters = ['-c', EACH_STATUS, url, ...[...statuses, 401].map(String)];
    const env = { PATH, ...environment };
    const { stdout } = await promisify(execFile)(python, parameters, { cwd: directory, env });
    server.close();
    server.closeAllConnections();
    expect(stdout.trim().split('\n')).toEqual(['passed', ...statuses.slice(1).map(String), 'passed']);
    expect(asked).toEqual(Array.from({ length: 11 }, (_, place) => `Bearer token-${place}`));
  },

  'beats across exp, and is never logged out': async (moved) => {
    const { clock } = moved.stage.house.database;
    await clock.freeze(new Date());
    try {
      const task = await work(moved, 'long');
      // With tokens of 60 s: 25 s bring it into the window of renewal at times, 70 s past `exp`.
      for (const seconds of [25, 25, 25, 70, 25, 25, 70, 70, 25]) {
        await clock.advance(seconds);
        await task.beats('alive');
      }
      await endTask(moved, 'long');
      await task.end();
    } finally {
      await clock.release();
      await clock.set(0);
    }
  },

  'stops at the next heartbeat after the end': async (moved) => {
    const task = await work(moved, 'ended');
    await task.beats('alive');
    await endTask(moved, 'ended');
    expect(await task.end()).toMatchObject({ status: 1, errors: expect.stringContaining('Ended') as string });
    // A task that is over for another reason leaves no session behind.
    const finished = await work(moved, 'finished');
    await finished.beats('alive');
    const { access_token: token } = await openTask(moved, 'finished');
    expect((await moved.ask('PATCH /task-instances/finished/state', { token })).status).toBe(204);
    expect(await finished.end()).toMatchObject({
      status: 1,
      errors: expect.stringContaining('409') as string,
    });
    const { rows: sessions } = await moved.stage.house.database.admin.query<{ isOver: boolean }>(
      `SELECT ended_at IS NOT NULL AS "isOver" FROM sessions JOIN users ON users.id = user_id
       WHERE external_id = 'task:finished' ORDER BY opened_at`,
    );
    expect(sessions.map(({ isOver }) => isOver)).toEqual([true, false]);
  },

  'beats on after a 503': async (moved) => {
    const task = await work(moved, 'patient');
    await task.beats('alive');
    moved.stage.way.replace(NO_VERDICTS['says 503'] ?? null);
    await task.beats('unknown');
    moved.stage.way.replace(null);
    await task.beats('alive');
    await endTask(moved, 'patient');
    expect((await task.end()).status).toBe(1);
  },
};

describeMove(
  "Airflow's task client",
  {
    modules: 'fastapi, uvicorn, httpx',
    start: (port) => ['-m', 'uvicorn', 'execution_api:app', '--port', `${port}`],
  },
  rows,
);
