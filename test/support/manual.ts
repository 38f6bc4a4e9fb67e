// What a reader of our pages is told to type, block by block, and what the pages say that comes back.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A command as it stands in a page, with the output that the page shows for it, or null where it shows none. */
export interface Command {
  line: number;
  text: string;
  output: string | null;
}

export type Block =
  /** To be saved under a name. */
  | { is: 'file'; line: number; name: string; text: string }
  /** For a terminal of its own, in which it runs on; it is ready when it has said this, or listens on this port. */
  | { is: 'server'; line: number; text: string; ready: string }
  /** For the terminal in which everything else is typed. */
  | { is: 'commands'; line: number; commands: Command[] }
  | { is: 'not run'; line: number; reason: string };

export interface Page {
  path: string;
  blocks: Block[];
  /** Programs that npm does not bring. */
  needs: string[];
  /** Whether it begins where README has led its reader: Gatehouse was started before. */
  followsReadme: boolean;
}

/** Shells, and what is typed into them with its answers. */
const SHELLS = ['sh', 'console'];

/** A fence with its language, what follows the language, and its lines; it may stand in a list. */
const FENCE = /^( *)```(\w+)(?: +(.*))?\n([^]*?)^\1```$/gm;

const MADE = /^(?:\.git|node_modules|dist|generated|data|try|coverage|reports)$/;

/** A page that says so begins where README has led its reader. */
const RUNS = /\[Gatehouse runs\]\((?:\.\.\/)+README\.md#try-it\)/;

export function readPages(): Page[] {
  const readme = readBlocks(readFileSync(join(ROOT, 'README.md'), 'utf8')).blocks;
  const start = readme.filter(({ is }) => is === 'server');
  return listPages('')
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      const { blocks, needs } = readBlocks(text);
      const followsReadme = RUNS.test(text);
      return { path, needs, followsReadme, blocks: followsReadme ? [...start, ...blocks] : blocks };
    })
    .filter(({ blocks }) => blocks.length > 0);
}

export function listPages(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter(({ name }) => !MADE.test(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return listPages(path);
      return path.endsWith('.md') ? [path] : [];
    });
}

/** @throws {Error} where a fence says something that we do not know */
export function readBlocks(page: string): Pick<Page, 'blocks' | 'needs'> {
  const blocks: Block[] = [];
  const needs = new Set<string>();
  for (const match of page.matchAll(FENCE)) {
    const [, indent = '', language = '', info = '', body = ''] = match;
    const line = page.slice(0, match.index).split('\n').length;
    const text = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trimEnd();
    const { file, serves, 'not run here': reason, needs: programs = '' } = readInfo(info, line);
    for (const program of programs.split(' ').filter(Boolean)) needs.add(program);
    if (reason !== undefined) blocks.push({ is: 'not run', line, reason });
    else if (file !== undefined) blocks.push({ is: 'file', line, name: file, text });
    else if (serves !== undefined) blocks.push({ is: 'server', line, text, ready: serves });
    else if (SHELLS.includes(language)) {
      const commands = language === 'sh' ? readScript(text, line) : readDialogue(text, line);
      blocks.push({ is: 'commands', line, commands });
    }
  }
  return { blocks, needs: [...needs] };
}

const WORDS = ['file', 'serves', 'not run here', 'needs'];

function readInfo(info: string, line: number): Record<string, string | undefined> {
  const parts = info.split(';').filter((part) => part.trim() !== '');
  return Object.fromEntries(
    parts.map((part) => {
      const [word = '', ...rest] = part.split(':');
      if (!WORDS.includes(word.trim())) throw new Error(`line ${line}: a fence says “${part.trim()}”`);
      return [word.trim(), rest.join(':').trim()];
    }),
  );
}

/** Commands, and below a command the output that it has: `# → 204`. */
function readScript(text: string, line: number): Command[] {
  const commands: Command[] = [];
  for (const [index, row] of text.split('\n').entries()) {
    const last = commands.at(-1);
    if (last !== undefined && isUnfinished(last.text)) last.text += `\n${row}`;
    else if (row.startsWith('# → ') && last !== undefined) last.output = (last.output ?? '') + row.slice(4);
    else if (row !== '' && !row.startsWith('#'))
      commands.push({ line: line + index + 1, text: row, output: null });
  }
  return commands;
}

/** What is typed stands behind `$ `; all else is the answer. */
function readDialogue(text: string, line: number): Command[] {
  const commands: Command[] = [];
  for (const [index, row] of text.split('\n').entries()) {
    const last = commands.at(-1);
    if (row.startsWith('$ ')) commands.push({ line: line + index + 1, text: row.slice(2), output: null });
    else if (last === undefined) throw new Error(`line ${line}: an answer that nobody asked for`);
    else if (last.output === null && isUnfinished(last.text)) last.text += `\n${row}`;
    else last.output = `${last.output ?? ''}${row}\n`;
  }
  return commands;
}

/** Whether the next line belongs to it. */
function isUnfinished(command: string): boolean {
  return /(?:\\|\||&&)$/.test(command.trimEnd());
}

/** What stands beside an ellipsis is shortened; ids, times and dates are those of one day. White space is the page's. */
const VARIES = [
  [/[\w.:/-]*…[\w.:/…-]*/g, '[^]*?'],
  [/\b\d{10}\b/g, '\\d{10}'],
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z'],
  [/\b\d{4}-\d\d-\d\d\b/g, '\\d{4}-\\d\\d-\\d\\d'],
] as const;

/** Whether an output is the one that a page shows. */
export function isAsShown(output: string, shown: string): boolean {
  const bare = (text: string) => text.replaceAll(/\s/g, '');
  const any = new RegExp(VARIES.map(([pattern]) => pattern.source).join('|'), 'g');
  const text = bare(shown);
  let pattern = '';
  let end = 0;
  for (const match of text.matchAll(any)) {
    pattern += escape(text.slice(end, match.index));
    pattern += VARIES.find(([varies]) => new RegExp(`^(?:${varies.source})$`).test(match[0]))?.[1] ?? '';
    end = match.index + match[0].length;
  }
  return new RegExp(`^${pattern}${escape(text.slice(end))}$`).test(bare(output));
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
