// The command line as a function: what a process would be given goes in, what it would leave comes out.
import { PassThrough, Readable } from 'node:stream';
import { expect } from 'vitest';

import { run } from '../../src/cli/program.js';
import { SECRET, type House } from './house.js';

export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

export interface Given {
  environment?: Record<string, string | undefined>;
  /** What comes through the pipe. */
  input?: string | Uint8Array;
  isTerminal?: boolean;
  /** What standard error is: a file, unless it is said. */
  showsTo?: 'terminal';
  /** What is typed at a terminal; Enter is `\r`, Ctrl-C is `\x03`. */
  typed?: string;
  /** For a database that is not to answer; otherwise the one that the command has. */
  deadlineMs?: number;
  /** Ends a command that goes on by itself, by what it has printed. */
  isOver?: (stdout: string) => boolean;
}

/** What somebody types, character by character, at a terminal that shows it unless it is told not to. */
function createTerminal(typed: string) {
  const terminal = Object.assign(new PassThrough(), { isTTY: true, isRaw: false, shown: '', setRawMode });
  function setRawMode(isRaw: boolean) {
    terminal.isRaw = isRaw;
    return terminal;
  }
  const keys = Array.from(typed);
  const press = () => {
    const key = keys.shift();
    if (key === undefined) return;
    if (!terminal.isRaw) terminal.shown += key;
    terminal.write(key, () => setImmediate(press));
  };
  setImmediate(press);
  return terminal;
}

/** Runs `gatehouse` with these arguments and nothing but the given environment. */
export async function gatehouse(args: string[], given: Given = {}): Promise<Outcome> {
  const { environment = {}, input = '', isTerminal = false, typed, deadlineMs, isOver = () => false } = given;
  const pipe = Object.assign(Readable.from([Buffer.from(input)]), { isTTY: isTerminal });
  const terminal = typed === undefined ? undefined : createTerminal(typed);
  let stdout = '';
  let stderr = '';
  const status = await run(args, {
    environment: () => Promise.resolve(environment),
    stdin: terminal ?? pipe,
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), isTTY: given.showsTo === 'terminal' },
    beforeSignals: () => () => undefined,
    deadlineMs,
    isOver: () => isOver(stdout),
  });
  if (terminal !== undefined) {
    expect(terminal.isRaw, 'the terminal shows what is typed again').toBe(false);
    stderr += terminal.shown;
  }
  return { status, stdout, stderr };
}

export function environmentOf({ database }: House, secret = SECRET): Record<string, string> {
  return { DATABASE_URL: database.url, AUTH_SECRET: secret };
}

/** Runs it on the house's database. */
export async function inHouse(house: House, args: string[], given: Given = {}): Promise<Outcome> {
  const environment = { ...environmentOf(house), ...given.environment };
  return await gatehouse(args, { ...given, environment });
}

/** Runs it with `--json` and returns the value; fails the test when the command does, or says anything else. */
export async function jsonInHouse(house: House, args: string[], given: Given = {}): Promise<unknown> {
  const { status, stdout, stderr } = await inHouse(house, ['--json', ...args], given);
  if (status !== 0 || stderr !== '' || stdout.indexOf('\n') !== stdout.length - 1)
    throw new Error(`gatehouse ${args.join(' ')}: ${status} ${stdout}${stderr}`);
  return JSON.parse(stdout) as unknown;
}
