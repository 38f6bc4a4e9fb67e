// The failover drill under Patroni, in its pure parts: what its programs are told, and how its rounds are counted.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { listRunning } from '../chaos/promotion/haproxy-socket.js';
import { createLedger } from '../chaos/promotion/ledger.js';
import {
  configureHaproxy,
  configurePatroni,
  configurePgBouncer,
  LEASE,
} from '../chaos/promotion/patroni/configuration.js';
import { DEFAULT_KINDS, KINDS } from '../chaos/promotion/patroni/kinds.js';
import { findPatroniPrograms } from '../chaos/promotion/patroni/programs.js';
import { summariseRounds } from '../chaos/promotion/patroni/report.js';
import { createSilence } from '../chaos/promotion/patroni/silence.js';

const COMMAND = fileURLToPath(new URL('../chaos/promotion.js', import.meta.url));
const PAGE = new URL('../../../docs/failover.md', import.meta.url);

const place = {
  name: 'a',
  members: '198.18.7.11',
  users: '198.19.7.11',
  listen: ['127.0.0.1', '198.18.7.11', '198.19.7.11'],
  port: 5432,
  restPort: 8008,
};

async function runCommand(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, '--patroni', ...args], (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** The settings of each block of a page that is written in this language. */
async function readBlocks(language: string): Promise<string[][]> {
  const text = await readFile(PAGE, 'utf8');
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))];
  return blocks.map(([, block = '']) => block.split('\n').map((line) => line.trim()));
}

describe('what Patroni is told', () => {
  const told = configurePatroni({
    place,
    etcd: '198.18.7.1:2379',
    directory: '/run/drill',
    binaries: '/usr/lib/postgresql/15/bin',
    password: 'secret',
  });

  it('keeps commits waiting for a standby, also while there is none', () => {
    expect(told.bootstrap.dcs).toMatchObject({
      synchronous_mode: true,
      synchronous_mode_strict: true,
      synchronous_node_count: 1,
    });
  });

  it('is a lease that Patroni accepts, and that is over before the window of a refresh is', () => {
    const { ttl, loop_wait: loopWait, retry_timeout: retryTimeout } = LEASE;
    expect(loopWait + 2 * retryTimeout).toBeLessThanOrEqual(ttl);
    expect(ttl).toBeGreaterThanOrEqual(20);
    expect(ttl).toBeLessThan(30);
  });

  it('leads the other servers to the address that can be cut off, and listens on every other one', () => {
    expect(told.postgresql.connect_address).toBe('198.18.7.11:5432');
    expect(told.postgresql.listen).toBe('127.0.0.1,198.18.7.11,198.19.7.11:5432');
    expect(told.restapi).toEqual({ listen: '0.0.0.0:8008', connect_address: '198.18.7.11:8008' });
  });

  it('opens no port beyond loopback for servers that stand there', () => {
    const alone = { ...place, members: '127.0.0.1', users: '127.0.0.1', listen: ['127.0.0.1'] };
    const { restapi, postgresql } = configurePatroni({
      place: alone,
      etcd: '127.0.0.1:2379',
      directory: '/run/drill',
      binaries: '/usr/bin',
      password: 'secret',
    });
    expect([restapi.listen, postgresql.listen]).toEqual(['127.0.0.1:8008', '127.0.0.1:5432']);
  });
});

describe('what HAProxy and PgBouncer are told', () => {
  it('is what docs/failover.md tells to set in HAProxy, but for names and ports', async () => {
    const text = configureHaproxy({ bind: '10.0.0.10:5432', socket: '/run/haproxy.sock', places: [place] });
    const own = text.split('\n').map((line) => line.trim());
    const [page] = (await readBlocks('haproxy')).filter((lines) =>
      lines.includes('option httpchk OPTIONS /primary'),
    );
    const wanted = page
      ?.map((line) => line.replace('check port 8008 ', 'check '))
      .filter((line) => !line.startsWith('server '));
    expect(wanted).toContain('retries 0');
    expect(own).toEqual(expect.arrayContaining(wanted ?? []));
    expect(own).toContain('server a 198.19.7.11:5432 port 8008');
  });

  it('is what docs/failover.md tells to set in PgBouncer', async () => {
    const own = configurePgBouncer({
      port: 6432,
      database: { host: '10.0.0.10', port: 5432 },
      usersFile: '/users',
    });
    const [page] = (await readBlocks('ini')).filter((lines) => lines.includes('pool_mode = session'));
    expect(page).toContain('server_lifetime = 0');
    const settings = page?.filter((line) => line.includes('=') && !line.includes('default_pool_size'));
    expect(own.split('\n')).toEqual(expect.arrayContaining(settings ?? []));
  });

  it('tells from the state of HAProxy who takes connections', () => {
    const state = [
      '1',
      '# be_id be_name …',
      '2 primary 1 a 127.0.0.1 2 0',
      '2 primary 2 b 127.0.0.1 0 0',
      '',
    ].join('\n');
    expect(listRunning(state)).toEqual(['a']);
  });
});

describe('the time without an answer', () => {
  const at = (start: number, end: number, isAnswered: boolean) => ({ start, end, isAnswered });

  it('lasts from the first question without an answer to the next answer', () => {
    const silence = createSilence(() => 9000);
    for (const asked of [at(0, 10, true), at(100, 200, false), at(300, 2300, false), at(2400, 2450, true)])
      silence.note(asked);
    expect(silence.longestMs()).toBe(2350);
    for (const asked of [at(3000, 3001, false), at(3100, 3101, true)]) silence.note(asked);
    expect(silence.longestMs()).toBe(2350);
  });

  it('counts from the beginning of the round, and counts what lasts', () => {
    let now = 0;
    const silence = createSilence(() => now);
    silence.note(at(0, 5, false));
    silence.note(at(500, 600, true));
    silence.begin();
    expect(silence.longestMs()).toBe(0);
    silence.note(at(1000, 1100, false));
    now = 4000;
    expect(silence.longestMs()).toBe(3000);
  });

  it('is over when a question is answered that was asked since then', () => {
    const silence = createSilence(() => 0);
    silence.note(at(10, 90, true));
    expect(silence.isOver(20)).toBe(false);
    silence.note(at(30, 90, true));
    expect(silence.isOver(20)).toBe(true);
    silence.note(at(95, 99, false));
    expect(silence.isOver(20)).toBe(false);
  });
});

describe('the count', () => {
  it('names an honest logout in words, and counts it', () => {
    const ledger = createLedger();
    ledger.logout('an honest refresh was refused');
    expect(ledger.counts.honestLogouts).toBe(1);
    expect(ledger.wrong).toEqual(['an honest refresh was refused']);
  });

  it('gives median and worst of each kind of round', () => {
    const round = (kind: 'kill' | 'freeze', ms: number) => ({
      kind,
      silenceMs: { login: 3 * ms, refresh: 2 * ms, introspect: ms },
      ledAfterMs: ms,
      acknowledged: 10,
    });
    const rounds = [
      round('kill', 40),
      round('freeze', 7),
      round('kill', 10),
      round('kill', 20),
      round('kill', 30),
    ];
    expect(summariseRounds(rounds)).toEqual({
      kill: {
        rounds: 4,
        acknowledged: 40,
        introspectionMs: { median: 25, worst: 40 },
        refreshMs: { median: 50, worst: 80 },
        loginMs: { median: 75, worst: 120 },
        leadMs: { median: 25, worst: 40 },
      },
      freeze: {
        rounds: 1,
        acknowledged: 10,
        introspectionMs: { median: 7, worst: 7 },
        refreshMs: { median: 14, worst: 14 },
        loginMs: { median: 21, worst: 21 },
        leadMs: { median: 7, worst: 7 },
      },
    });
  });
});

describe('the command', () => {
  it('names each program that is missing, with its package', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'gatehouse-nothing-'));
    const { missing } = await findPatroniPrograms({ pgBin: empty, path: empty });
    await rm(empty, { recursive: true });
    expect(missing).toEqual([
      'patroni (Debian: patroni)',
      'etcd (Debian: etcd-server)',
      'haproxy (Debian: haproxy)',
      'pgbouncer (Debian: pgbouncer)',
      `PostgreSQL 15 or newer in ${empty} (Debian: postgresql)`,
    ]);
  });

  it('ends with status 2 where a program is missing', async () => {
    const { status, stdout, stderr } = await runCommand(
      '--patroni-program',
      '/nowhere/patroni',
      '--pg-bin',
      '/nowhere',
    );
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('/nowhere/patroni (Debian: patroni)');
    expect(stderr).toContain('PostgreSQL 15 or newer in /nowhere (Debian: postgresql)');
  });

  it('knows the kinds of round', async () => {
    const { status, stderr } = await runCommand('--kinds', 'kill,earthquake');
    expect(status).toBe(2);
    for (const kind of Object.keys(KINDS)) expect(stderr).toContain(kind);
    expect(DEFAULT_KINDS).toEqual(['switchover', 'kill', 'freeze', 'partition']);
  });
});
