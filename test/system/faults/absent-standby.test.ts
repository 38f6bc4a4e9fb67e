// Commits wait for a synchronous standby, and there is none: log, /ready, start and commands say that.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { gatehouse } from '../../support/command.js';
import type { TokenPair } from '../../support/house.js';
import { createOwnCluster, type OwnCluster } from '../../support/own-cluster.js';
import { settle, type Resident } from '../../support/resident.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, createWorkshop, environmentFor, untilReady, type Service } from '../../support/service.js';

const NAMES = 'synchronous_standby_names';
const STALLED = /commits wait for a synchronous standby/i;

interface Line {
  msg: string;
  err?: { message?: string };
  reason?: string;
}

const workshop = createWorkshop();
let cluster: OwnCluster;
let refused: Service;
let service: Service;
let resident: Resident;
let spectator: TokenPair;
let leaving: TokenPair;

beforeAll(async () => {
  cluster = await createOwnCluster();
  await cluster.set(NAMES, 'nobody');
  refused = await workshop.spawn(environmentFor(cluster.url));
  await refused.exited;
  await cluster.set(NAMES, '');
  service = await workshop.start(environmentFor(cluster.url));
  resident = await settle(cluster.url);
  [spectator, leaving] = (await resident.openSessions(service, 2)) as [TokenPair, TokenPair];
});
afterAll(async () => {
  await workshop.clear();
  await cluster.remove();
});

function linesOf({ output }: Service): Line[] {
  return output.stdout
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line);
}

it('a first start says it, and the one after has succeeded once commits were confirmed', async () => {
  expect(await refused.exited).toMatchObject({ code: 1 });
  expect(refused.output.stderr).toMatch(STALLED);
  expect(refused.output.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(service.process.exitCode).toBeNull();
});

describe('a service that runs', () => {
  it('says it in /ready, before anybody has asked for a write, and goes on judging tokens', async () => {
    expect((await ask(service, 'GET', '/ready')).json()).toEqual({ status: 'ready' });
    await cluster.set(NAMES, 'nobody');
    await expect.poll(async () => (await ask(service, 'GET', '/ready')).body).toContain('waiting');
    const ready = await ask(service, 'GET', '/ready');
    expect([ready.status, ready.json()]).toEqual([200, { status: 'ready', commits: 'waiting' }]);
    const { body } = await retryOn503(() => resident.introspect(service, spectator));
    expect(JSON.parse(body)).toMatchObject({ active: true });
  });

  it('says it in the one line of the outage, and in that of each request', async () => {
    // When the words are the right ones, nothing else on this machine is the cause.
    await expect
      .poll(async () => {
        expect((await resident.logOut(service, leaving)).status).toBe(503);
        await sleep(200);
        return linesOf(service).filter(({ msg, reason }) => msg === 'answered' && STALLED.test(reason ?? ''));
      })
      .not.toEqual([]);
    const outages = linesOf(service).filter(({ msg }) => msg.startsWith('the database cannot be asked'));
    expect(outages.map(({ err }) => err?.message)).toEqual([expect.stringMatching(STALLED)]);
    const beats = linesOf(service).filter(({ msg }) => msg.startsWith('the beat cannot be written'));
    expect(beats.map(({ err }) => err?.message)).toContainEqual(expect.stringMatching(STALLED));
  });

  it('lets a command say it', async () => {
    const { status, stderr } = await gatehouse(['users', 'disable', 'resident'], {
      environment: environmentFor(cluster.url),
      deadlineMs: 3000,
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(STALLED);
    expect(stderr).not.toContain('overloaded');
  });

  it('is ready again, and does what was asked, once commits are confirmed', async () => {
    await cluster.set(NAMES, '');
    await untilReady(service);
    expect((await retryOn503(() => resident.logOut(service, leaving))).status).toBe(204);
  });
});
