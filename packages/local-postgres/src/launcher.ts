// Runs PostgreSQL's programs: as ourselves, or as another account when we are root, since PostgreSQL refuses root.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { PostgresBinaries } from './binaries.js';
import { LocalPostgresRefusal } from './refusal.js';

export interface Account {
  uid: number;
  gid: number;
}

/** How to run a program of PostgreSQL on one cluster. */
export interface Launcher {
  /** Who owns the cluster's files; undefined for ourselves. */
  owner: Account | undefined;
  /** Whether `owner` reaches files in directories that belong to root alone. */
  reachesAll: boolean;
  /** Words before the program's own. */
  prefix: string[];
  identity: Partial<Account>;
}

// PostgreSQL gets none of our environment: it holds secrets. Messages in English, since we read one or two.
const env = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * As root on Linux the account gets one capability with which it reads what root reads: Gatehouse may lie under /root,
 * and DATA_DIR is open to its owner alone. The securebit is for access(2), by which PostgreSQL finds its own files.
 */
export async function findLauncher(binaries: PostgresBinaries, cluster: string): Promise<Launcher> {
  if (process.getuid?.() !== 0) return { owner: undefined, reachesAll: true, prefix: [], identity: {} };
  const owner = await findAccount(cluster);
  const candidates = [
    ...(await listCapabilities()).map((capability) => ({
      owner,
      reachesAll: true,
      prefix: lend(owner, capability),
      identity: {},
    })),
    { owner, reachesAll: false, prefix: [], identity: owner },
  ];
  for (const launcher of candidates) {
    if (await canRun(launcher, binaries)) return launcher;
  }
  throw new LocalPostgresRefusal(
    `PostgreSQL does not run as root, and user ${owner.uid} cannot run it from ${binaries.postgres}. Start Gatehouse as an ordinary user, or set DATABASE_URL.`,
  );
}

function lend({ uid, gid }: Account, capability: string): string[] {
  const lent = `+${capability}`;
  return [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    `--inh-caps=${lent}`,
    `--ambient-caps=${lent}`,
    '--securebits=+no_setuid_fixup',
    '--',
  ];
}

/** Those that would do and that we have ourselves, the lesser first. A container's root lacks the first by default. */
async function listCapabilities(): Promise<string[]> {
  if (process.platform !== 'linux') return [];
  const status = await readFile('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const bits = [
    { name: 'dac_read_search', bit: 2n },
    { name: 'dac_override', bit: 1n },
  ];
  return bits.filter(({ bit }) => (effective >> bit) & 1n).map(({ name }) => name);
}

/** The account that owns the cluster already, else one that systems have for such a purpose. */
async function findAccount(cluster: string): Promise<Account> {
  const existing = await stat(cluster).catch(() => undefined);
  if (existing !== undefined && existing.uid !== 0) return { uid: existing.uid, gid: existing.gid };
  for (const name of ['postgres', 'nobody']) {
    const account = await lookUp(name).catch(() => undefined);
    if (account !== undefined && account.uid > 0) return account;
  }
  throw new LocalPostgresRefusal(
    'PostgreSQL does not run as root, and there is no user postgres or nobody to run it. Start Gatehouse as an ordinary user, or set DATABASE_URL.',
  );
}

async function lookUp(name: string): Promise<Account> {
  const id = async (option: string) =>
    Number((await promisify(execFile)('id', [option, name], { env })).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
}

async function canRun(launcher: Launcher, { postgres }: PostgresBinaries): Promise<boolean> {
  return runProgram(launcher, postgres, ['--version']).then(
    () => true,
    () => false,
  );
}

/**
 * Runs a program to its end, which a Ctrl-C in our terminal does not bring about. Rejects with its reason when it fails.
 */
export async function runProgram(
  launcher: Launcher,
  program: string,
  args: string[],
  input = '',
): Promise<void> {
  const [command = program, ...words] = [...launcher.prefix, program, ...args];
  const child = spawn(command, words, {
    cwd: '/',
    env,
    ...launcher.identity,
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)));
  // A program that ended before it read everything says why by its exit status.
  child.stdin.on('error', () => undefined).end(input);
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve();
      else reject(new Error(reasonIn(said) ?? `${program} failed`));
    });
  });
}

/** The first error that it names, since others follow from that, and initdb tidies up at the end; else what it said last. */
function reasonIn(said: string): string | undefined {
  const lines = said.trim().split('\n');
  const error = lines.find((line) => /\b(?:FATAL|PANIC|ERROR|error):/.test(line));
  return error?.replace(/^.*?\b(?:FATAL|PANIC|ERROR|error):\s*/, '') ?? lines.at(-1);
}

/**
 * Starts a program that outlives us: in a session of its own, so that Ctrl-C in our terminal does not reach it, and
 * with none of our files open but `log`.
 */
export function startProgram(
  launcher: Launcher,
  before: string[],
  program: string,
  args: string[],
  log: number,
): ChildProcess {
  const [command = program, ...words] = [...before, ...launcher.prefix, program, ...args];
  const child = spawn(command, words, {
    cwd: '/',
    env,
    ...launcher.identity,
    detached: true,
    stdio: ['ignore', log, log],
  });
  child.unref();
  return child;
}
