/** The password of a command: read from standard input, or made here and shown once. */
import { createPasswordHasher } from '../domain/passwords/hasher.js';
import { generatePassword, refusePassword } from '../domain/passwords/policy.js';
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

/**
 * @param stdin where the password comes from; null to have one made
 * @throws {Refusal} when it is not good enough for this user, or nobody pipes one in
 */
export async function choosePassword(
  username: string,
  stdin: Surroundings['stdin'] | null,
): Promise<ChosenPassword> {
  if (stdin === null) {
    const text = generatePassword();
    return {
      hash: await hash(text),
      shown: { password: text },
      line: `\npassword, shown this once: ${text}`,
    };
  }
  const text = await readPassword(stdin);
  const problem = await refusePassword(text, { username });
  if (problem !== null) throw new Refusal(`the password ${problem}`);
  return { hash: await hash(text), shown: {}, line: '' };
}

async function hash(text: string): Promise<string> {
  return await createPasswordHasher().hash(text);
}

async function readPassword(stdin: Surroundings['stdin']): Promise<string> {
  // A terminal would show it to whoever looks over the shoulder.
  if (stdin.isTTY === true) {
    throw new Refusal(
      '--password-stdin reads the password from standard input: put it in a pipe or a file, as in `… --password-stdin < password.txt`',
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
