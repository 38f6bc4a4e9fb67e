// A reader at a terminal: a fresh clone with everything installed and built, a home of their own, and one shell after the other.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { findFreePort } from '../../packages/lab/shared/ports.js';
import { placeMadeDatabase } from './made-database.js';
import { ROOT } from './manual.js';
import { isRunning } from './processes.js';

/** The ports that our pages and examples name. Each reader has others in their place, since tests run beside each other. */
const PORTS = ['3000', '4000', '5173', '8080'];

/** What an install and a run leave behind, and what no page needs: all else is in the clone. */
const LEFT_OUT = /^(?:\.git|\.github|data|try|coverage|reports|test|\.stryker-tmp)$/;

/** What pages only read: linked, which costs less than copies. What runs finds its own folder by its real path, and is copied. */
const LINKED = /^(?:node_modules|src|packages|prisma|docs|deploy|docker)$/;

/**
 * `npm ci` is what has filled node_modules, which is linked here. The service takes another port than 3000. In a clone,
 * `npx gatehouse` is bin/gatehouse.js, and npm reads all of node_modules, for two seconds, before it says so.
 */
const PRELUDE = `
set -o pipefail
READERS_CLONE=$PWD
npm() {
  case $1 in
    ci) ;;
    start) PORT=$READERS_PORT command npm "$@" ;;
    *) command npm "$@" ;;
  esac
}
npx() {
  case $1 in
    gatehouse) shift; node "$READERS_CLONE/bin/gatehouse.js" "$@" ;;
    *) command npx "$@" ;;
  esac
}
`;

export interface Done {
  status: number;
  stdout: string;
  stderr: string;
}

export interface Reader {
  /** With the reader's ports in the place of ours. */
  translate: (text: string) => string;
  save: (name: string, text: string) => Promise<void>;
  /** Types it into the one shell that remembers, and waits until it is done. */
  type: (command: string) => Promise<Done>;
  /** Types it into a terminal of its own, and waits until it has said `ready`, or listens on that port. */
  leaveRunning: (command: string, ready: string) => Promise<void>;
  /** Presses Ctrl-C in every terminal, waits until all have ended, and throws the clone away. */
  leave: () => Promise<void>;
  /**
   * Whether a Gatehouse, or a gateway that did not wait for it, answered 503, as it may on a busy machine: nothing is wrong then,
   * and all is to be done again. Known after `leave`.
   */
  wasUnavailable: () => boolean;
}

/** @param options.wasStarted whether Gatehouse was started in the clone before, and stopped: its database is there, with the demo */
export async function createReader({ wasStarted = false } = {}): Promise<Reader> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-docs-'));
  // Started by root, a gateway reads its files as somebody else.
  await chmod(folder, 0o755);
  const [clone, home] = ['gatehouse', 'home'].map((name) => join(folder, name)) as [string, string];
  const ports = new Map<string, string>();
  for (const port of PORTS) ports.set(port, String(await findFreePort()));
  const translate = (text: string) =>
    text.replaceAll(new RegExp(`\\b(?:${PORTS.join('|')})\\b`, 'g'), (port) => ports.get(port) ?? port);
  await mkdir(home);
  await fillClone(clone);
  if (wasStarted) await placeMadeDatabase(join(clone, 'data'), { isMigrated: true });
  await translateExamples(join(clone, 'examples'), translate);

  const environment = {
    PATH: process.env['PATH'],
    HOME: home,
    READERS_PORT: ports.get('3000'),
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
  };
  const shell = openShell(clone, environment);
  let wasTold503 = false;
  const servers: Server[] = [];
  let left: Promise<void> | undefined;
  async function leave(): Promise<void> {
    shell.close();
    await Promise.all(servers.map(interrupt));
    await rm(folder, { recursive: true });
  }
  return {
    translate,
    save: async (name, text) => {
      await mkdir(dirname(join(clone, name)), { recursive: true });
      await writeFile(join(clone, name), translate(text));
    },
    type: async (command) => {
      const done = await shell.type(translate(command));
      wasTold503 ||= /\b503\b|temporarily_unavailable/.test(done.stdout);
      return done;
    },
    leaveRunning: async (command, ready) => {
      const options = { cwd: clone, env: environment, detached: true };
      const server = attend(spawn('bash', ['-c', PRELUDE + translate(command)], options));
      servers.push(server);
      await untilReady(server, translate(ready));
    },
    leave: () => (left ??= leave()),
    wasUnavailable: () => wasTold503 || servers.some(({ output }) => /"status(?:Code)?":503\b/.test(output)),
  };
}

interface Server {
  process: ChildProcess;
  /** Everything that it has said so far. */
  output: string;
  ended: Promise<unknown>;
}

function attend(process: ChildProcess): Server {
  const server = { process, output: '', ended: once(process, 'close') };
  for (const stream of [process.stdout, process.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (server.output += text));
  return server;
}

/** What was built is not stale: copies get the date of their copy, and what the build goes by a later one. */
async function fillClone(clone: string): Promise<void> {
  await mkdir(clone);
  const names = (await readdir(ROOT)).filter((name) => !LEFT_OUT.test(name));
  for (const name of names.filter((each) => LINKED.test(each)))
    await symlink(join(ROOT, name), join(clone, name));
  // Node's own copy of these files takes five times as much of the processor.
  const copied = names.filter((name) => !LINKED.test(name)).map((name) => join(ROOT, name));
  await promisify(execFile)('cp', ['-R', ...copied, clone]);
  const stamps = (await readdir(join(clone, 'dist'))).filter((name) => name.startsWith('.'));
  // A Date has no microseconds, and a file has: by the next second all of them are older.
  const later = new Date(Date.now() + 1000);
  for (const name of stamps) await utimes(join(clone, 'dist', name), later, later);
}

async function translateExamples(folder: string, translate: (text: string) => string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, 'utf8');
    if (translate(text) !== text) await writeFile(path, translate(text));
  }
}

/** A shell that is told one command after the other, and says after each how it ended. */
export function openShell(cwd: string, env: NodeJS.ProcessEnv) {
  const shell = spawn('bash', ['--noprofile', '--norc'], { cwd, env, stdio: 'pipe' });
  const output = { stdout: '', stderr: '' };
  let wake = () => undefined as unknown;
  for (const name of ['stdout', 'stderr'] as const) {
    shell[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      wake();
    });
  }
  shell.once('close', () => wake());
  shell.stdin.write(PRELUDE);
  const DONE = /«ended with (\d+)»/;

  return {
    type: async (command: string): Promise<Done> => {
      output.stdout = '';
      output.stderr = '';
      // What a command reads from the terminal it must not take from the commands to come.
      shell.stdin.write(
        `{\n${command}\n} </dev/null; _ended="«ended with $?»"; printf %s "$_ended"; printf %s "$_ended" >&2\n`,
      );
      for (;;) {
        const [status, said] = [DONE.exec(output.stdout)?.[1], DONE.test(output.stderr)];
        if (status !== undefined && said) {
          return {
            status: Number(status),
            stdout: output.stdout.replace(DONE, ''),
            stderr: output.stderr.replace(DONE, ''),
          };
        }
        if (shell.exitCode !== null) return { status: shell.exitCode, ...output };
        await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
    },
    close: () => shell.kill('SIGKILL'),
  };
}

async function untilReady(server: Server, ready: string): Promise<void> {
  const isReady = /^\d+$/.test(ready)
    ? () => isListening(Number(ready))
    : () => Promise.resolve(server.output.includes(ready));
  while (!(await isReady())) {
    const { exitCode } = server.process;
    if (exitCode !== null) throw new Error(`it ended with ${exitCode}:\n${server.output}`);
    await sleep(20);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, 'localhost')
      .once('connect', () => {
        socket.destroy();
        resolve(true);
      })
      .once('error', () => resolve(false));
  });
}

async function interrupt({ process: { pid = 0 }, ended }: Server): Promise<void> {
  if (isRunning(-pid)) process.kill(-pid, 'SIGINT');
  while (isRunning(-pid)) await sleep(20);
  await ended;
}
