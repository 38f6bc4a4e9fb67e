// The programs of examples/moving as their readers start them, each before a real Gatehouse of its own.
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { findFreePort } from '../../../../packages/lab/shared/ports.js';
import { basic, bearer } from '../../../support/house.js';
import { describeWhere, findPython, startProgram, type Running } from '../../../support/programs.js';
import { retryOn503 } from '../../../support/retry.js';
import { openStage, type Stage } from '../../clients/stage.js';

const ROOT = new URL('../../../../', import.meta.url);
const PROGRAMS = fileURLToPath(new URL('examples/moving/', ROOT));

interface Told {
  status: number;
  headers: Headers;
  /** Empty where the answer has no body. */
  body: Record<string, unknown>;
}

/** What callers are given at a login. */
export interface Pair {
  access_token: string;
  refresh_token: string;
  session_id: string;
  expires_in: number;
}

interface Asking {
  token?: string | undefined;
  body?: object;
  headers?: Record<string, string>;
}

/** An application that runs, and the Gatehouse that it asks. */
export interface Moved {
  stage: Stage;
  python: string;
  /** Where the programs have been copied to. */
  directory: string;
  /** Variables for programs that ask the same Gatehouse. */
  environment: Record<string, string>;
  url: string;
  askOnce: (route: string, asking?: Asking) => Promise<Told>;
  /** The same again after a 503: a busy machine takes longer than the application waits. */
  ask: (route: string, asking?: Asking) => Promise<Told>;
  /** As somebody whom the application knows. */
  logIn: (username: 'mara' | 'juno') => Promise<Pair>;
  /** What the application itself could ask of Gatehouse. */
  asClient: (method: string, path: string, body: object) => Promise<Told>;
  /** Makes the password of a session one that was given an hour ago, and gives the tokens that say so. */
  growOld: (pair: Pair) => Promise<Pair>;
  close: () => Promise<void>;
}

async function read(answer: Response): Promise<Told> {
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
  };
}

/** @param start what follows the name of the interpreter, for a port */
async function openMoved(python: string, start: (port: number) => string[]): Promise<Moved> {
  const stage = await openStage(['sessions:open', 'introspect', 'revoke']);
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-moving-'));
  await cp(PROGRAMS, directory, { recursive: true });
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const environment = {
    GATEHOUSE: stage.way.url,
    CLIENT_ID: stage.client.id,
    CLIENT_SECRET: stage.client.secret,
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const running: Running = await startProgram(python, start(port), { port, directory, environment });

  const askOnce = async (route: string, { token, body, headers }: Asking = {}) => {
    const [method = '', path = ''] = route.split(' ');
    const answer = await fetch(url + path, {
      method,
      headers: {
        ...headers,
        ...(token === undefined ? {} : bearer(token)),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return read(answer);
  };
  const ask: Moved['ask'] = (route, asking) => retryOn503(() => askOnce(route, asking));
  const asClient: Moved['asClient'] = (method, path, body) =>
    retryOn503(async () => {
      const headers = { ...basic(stage.client), 'content-type': 'application/json' };
      return read(await fetch(stage.way.url + path, { method, headers, body: JSON.stringify(body) }));
    });
  return {
    stage,
    python,
    directory,
    environment,
    url,
    askOnce,
    ask,
    asClient,
    logIn: async (username) => {
      const { status, body } = await ask('POST /login', {
        body: { username, password: `password of ${username}` },
      });
      expect({ status, body }).toMatchObject({ status: 200 });
      return body as unknown as Pair;
    },
    growOld: async ({ session_id, refresh_token }) => {
      const auth_time = Math.floor(Date.now() / 1000) - 3600;
      expect(await asClient('PATCH', `/sessions/${session_id}`, { auth_time })).toMatchObject({
        status: 200,
      });
      const renewed = await asClient('POST', '/refresh', { refresh_token });
      expect(renewed.status).toBe(200);
      return renewed.body as unknown as Pair;
    },
    close: async () => {
      await running.stop();
      await rm(directory, { recursive: true });
      await stage.close();
    },
  };
}

/** The last cells of the table below a heading of the page, in order. */
async function readRows(heading: string): Promise<string[]> {
  const page = await readFile(new URL('docs/coming-from.md', ROOT), 'utf8');
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---'));
  return rows.slice(1).map((row) => row.split(' | ').at(-1)?.replace(/\|$/, '').trim() ?? '');
}

export type Rows = Record<string, (moved: Moved) => Promise<void>>;

/**
 * A table of docs/coming-from.md, each row tried on the program.
 *
 * @param rows by the last cell of the row
 */
export function describeMove(
  heading: string,
  { modules, start }: { modules: string; start: (port: number) => string[] },
  rows: Rows,
): void {
  const python = findPython(modules);

  it(`each row of the table for ${heading} is tried, and nothing else`, async () => {
    expect(await readRows(heading)).toEqual(Object.keys(rows));
  });

  const needs = {
    name: `coming from ${heading}`,
    needs: `Python with ${modules}`,
    required: 'GATEHOUSE_REQUIRE_PYTHON3',
  };
  describeWhere(python !== undefined, needs, () => {
    let moved: Moved;
    beforeAll(async () => {
      moved = await openMoved(python ?? 'python3', start);
    });
    afterAll(() => moved.close());

    it.each(Object.entries(rows))('%s', (_, row) => row(moved));
  });
}
