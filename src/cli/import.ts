/** `gatehouse users import`: users of another system, from a file of any length, a thousand lines at a time. */
import { open } from 'node:fs/promises';
import type { Command } from 'commander';

import { importUsers, type RefusedLine } from '../domain/operators/import.js';
import { isEmpty, MOST_LINES, type ImportLine } from '../domain/operators/import-lines.js';
import { MAX_LINE_CHARACTERS } from '../domain/users/import-line.js';
import { findActor } from './options.js';
import { examples, Refusal } from './output.js';
import type { Shell } from './shell.js';

type Chunks = AsyncIterable<Buffer | string>;

/** Takes the cursor to the beginning of the line, and what stands there away. */
const CLEAR_LINE = '\r\u001B[K';

export function defineImport(users: Command, shell: Shell): void {
  users
    .command('import')
    .description('add users of another system with the hashes that it has made of their passwords')
    .argument(
      '<file>',
      'a JSON object a line: username, password_hash, scope?, created_at?, disabled?; - for standard input',
    )
    .addHelpText(
      'after',
      '\nLines that are wrong are named on standard error, and the others go on; then the exit status is 1. Nobody is overwritten, so the same\n' +
        'file can be imported again. Each hash is replaced by one of ours at the first login. docs/import.md lists the formats.\n' +
        examples('gatehouse users import users.ndjson', 'gatehouse users import - < users.ndjson'),
    )
    .action(async (file: string) => {
      const rules = await shell.config();
      const { chunks, close } = await openChunks(file, shell.stdin);
      try {
        await shell.withDatabase(
          async (database) => {
            const by = findActor();
            const report = createReport(shell);
            try {
              for await (const lines of readPortions(chunks))
                report.add(lines, await importUsers(database, lines, by, rules));
            } finally {
              report.end();
            }
            const { created, refused } = report.counts;
            shell.print({ created, refused }, `users added: ${created}`);
            if (refused > 0) throw new Refusal(`lines that have added nobody: ${refused}, see above`);
          },
          { mayCreate: true },
        );
      } finally {
        await close();
      }
    });
}

/** @throws {Refusal} when there is nothing to read */
async function openChunks(
  file: string,
  stdin: Shell['stdin'],
): Promise<{ chunks: Chunks; close: () => Promise<void> }> {
  if (file !== '-') {
    const handle = await open(file).catch(refuseFile);
    const chunks = handle.createReadStream({ autoClose: false });
    return { chunks, close: () => handle.close() };
  }
  if (stdin.isTTY === true)
    throw new Refusal(
      '- reads standard input: put it in a pipe or a file, as in `… import - < users.ndjson`',
      {
        isWrongUsage: true,
      },
    );
  return { chunks: stdin, close: () => Promise.resolve() };
}

function refuseFile(error: unknown): never {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  throw new Refusal(`the file cannot be read (${code})`);
}

/** As many lines as one statement takes, again and again; of a longer line as much as shows that it is too long. */
async function* readPortions(chunks: Chunks): AsyncGenerator<ImportLine[]> {
  let portion: ImportLine[] = [];
  for await (const line of readLines(chunks)) {
    if (isEmpty(line)) continue;
    portion.push(line);
    if (portion.length < MOST_LINES) continue;
    yield portion;
    portion = [];
  }
  if (portion.length > 0) yield portion;
}

async function* readLines(chunks: Chunks): AsyncGenerator<ImportLine> {
  // What is not UTF-8 becomes a character that no line may hold.
  const decoder = new TextDecoder();
  let rest = '';
  let line = 0;
  try {
    for await (const chunk of chunks) {
      const texts = (rest + decoder.decode(Buffer.from(chunk), { stream: true })).split('\n');
      rest = (texts.pop() ?? '').slice(0, MAX_LINE_CHARACTERS + 1);
      for (const text of texts) yield { line: (line += 1), text };
    }
  } catch (error) {
    // A folder, say.
    if (typeof (error as NodeJS.ErrnoException).syscall === 'string') refuseFile(error);
    throw error;
  }
  yield { line: line + 1, text: rest + decoder.decode() };
}

/** Says what becomes of the lines: those that are wrong at once, and on a terminal how far it is. */
function createReport({ stderr, tell }: Shell) {
  const counts = { read: 0, created: 0, refused: 0 };
  const clear = () => stderr.isTTY === true && stderr.write(CLEAR_LINE);

  return {
    counts,
    add(
      lines: readonly ImportLine[],
      { created, refused }: { created: number; refused: RefusedLine[] },
    ): void {
      clear();
      for (const { line, member, message } of refused)
        tell(`line ${line}: ${member === null ? '' : `${member}: `}${message}`);
      counts.read = lines.at(-1)?.line ?? counts.read;
      counts.created += created;
      counts.refused += refused.length;
      if (stderr.isTTY === true) stderr.write(`${counts.read} lines read, ${counts.created} users added`);
    },
    end(): void {
      clear();
    },
  };
}
