/** The password of a command: typed, read from standard input, or made here and shown once. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

import { createPasswordHasher } from '../domain/passwords/hasher.js';
import { generatePassword, refusePassword, type PasswordRules } from '../domain/passwords/policy.js';
import { Refusal } from './output.js';
import type { Surroundings } from './shell.js';

export interface ChosenPassword {
  /** As it is stored. */
  hash: string;
  /** For the result: the password where we have made it, nothing where it was given. */
  shown: { password?: string };
  /** The same for people, on a line of its own. */
  line: string;
}

/** Longer than any password, in bytes: what is sent to us by mistake need not be read to its end. */
const MAX_BYTES = 64 * 1024;

export async function makePassword(): Promise<ChosenPassword> {
  const text = generatePassword();
  return {
    hash: await hash(text),
    shown: { password: text },
    line: `\npassword, shown this once: ${text}`,
  };
}

/** @throws {Refusal} when it is not good enough for this user */
export async function keepPassword(
  username: string,
  text: string,
  rules: PasswordRules,
): Promise<ChosenPassword> {
  await assertGood(username, text, rules);
  return { hash: await hash(text), shown: {}, line: '' };
}

async function assertGood(
  username: string,
  text: string,
  { passwordMinLength }: PasswordRules,
): Promise<void> {
  const problem = await refusePassword(text, { username, passwordMinLength });
  if (problem !== null) throw new Refusal(`the password ${problem}`);
}

async function hash(text: string): Promise<string> {
  return await createPasswordHasher().hash(text);
}

/** What the terminal would show of a line while it is typed. */
const NOWHERE = new Writable({ write: (_chunk, _encoding, done) => done() });

/**
 * Asks on the terminal, twice, and shows nothing of what is typed.
 *
 * @throws {Refusal} when there is no terminal, the first is not good enough, the second is another one, or the person gives up
 */
export async function askPassword(
  username: string,
  rules: PasswordRules,
  { stdin, stderr }: Pick<Surroundings, 'stdin' | 'stderr'>,
): Promise<string> {
  if (stdin.isTTY !== true) {
    throw new Refusal(
      '--password-prompt asks on a terminal, and standard input is none: use --password-stdin in its place, as in `… --password-stdin < password.txt`',
      { isWrongUsage: true },
    );
  }
  // `terminal` takes the echo from the system; what readline would write in its place goes nowhere.
  const lines = createInterface({ input: stdin, output: NOWHERE, terminal: true, historySize: 0 });
  // It keeps lines that come before they are asked for, as from a paste.
  const typed: AsyncIterator<string, undefined> = lines[Symbol.asyncIterator]();
  const ask = async (question: string): Promise<string> => {
    stderr.write(question);
    const { done, value } = await typed.next();
    stderr.write('\n');
    // Ctrl-C or Ctrl-D.
    if (done === true) throw new Refusal('nothing was changed: no password was typed');
    return value;
  };
  try {
    const text = await ask('New password: ');
    await assertGood(username, text, rules);
    if ((await ask('The same once more: ')) === text) return text;
    throw new Refusal('nothing was changed: the two passwords are not the same, try again');
  } finally {
    lines.close();
  }
}

/** @throws {Refusal} when nobody pipes one in, or it is no text */
export async function readPassword(stdin: Surroundings['stdin']): Promise<string> {
  // A terminal would show it to whoever looks over the shoulder.
  if (stdin.isTTY === true) {
    throw new Refusal(
      '--password-stdin reads the password from standard input: put it in a pipe or a file, as in `… --password-stdin < password.txt`, or use --password-prompt',
      { isWrongUsage: true },
    );
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes > MAX_BYTES) break;
  }
  return decode(Buffer.concat(chunks)).replace(/\r?\n$/, '');
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refusal('the password on standard input is not UTF-8: save it in that encoding');
  }
}
