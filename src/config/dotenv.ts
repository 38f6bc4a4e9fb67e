/** Reads `.env`: what it sets, or every line that may not say what its author means. */
import { parseEnv } from 'node:util';

import { ConfigError } from './config.js';
import { explainName, findOwnName } from './names.js';

/** An empty line, or a comment. */
const NOTHING = /[ \t]*(?:#.*)?(?:\n|$)/y;

/**
 * `NAME=value`, perhaps after `export` or before a comment. A value that begins with a quote ends with the same quote. In any
 * other a `#` without a space before it is refused: Node takes it for a comment, Docker Compose for a part of the value.
 */
const SETTING =
  /[ \t]*(?:export[ \t]+)?(?<name>[^ \t\n=#"'`]+)[ \t]*=[ \t]*(?<value>"[^"]*"|'[^']*'|`[^`]*`|[^ \t\n"'`#](?:[^\n#]*[^ \t\n#])?|)[ \t]*(?:(?<=[ \t])#.*)?(?:\n|$)/y;

/**
 * @param bytes of the file: UTF-8, or UTF-16 with a byte-order mark, as Windows PowerShell writes it
 * @throws {ConfigError} with every mistake; lines are named by their numbers, and values are never shown
 */
export function parseDotEnv(bytes: Uint8Array): Record<string, string> {
  const text = decode(bytes);
  const values: Record<string, string> = {};
  const lines = new Map<string, number>();
  const problems: string[] = [];
  for (let at = 0, line = 1; at < text.length;) {
    const entry = readEntry(text, at);
    if (typeof entry.name === 'string') {
      const problem = findMistake(entry.name, line, lines.get(entry.name));
      if (problem !== undefined) problems.push(problem);
      lines.set(entry.name, line);
      // Of quotes and escapes Node knows the rules.
      values[entry.name] = parseEnv(`NAME=${entry.value}`)['NAME'] ?? '';
    } else if (!entry.isNothing) {
      problems.push(
        `.env line ${line} is neither NAME=value nor a comment: put a value with a # or a quote in it between quotes`,
      );
    }
    line += entry.text.split('\n').length - 1;
    at += entry.text.length;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return values;
}

type Entry =
  | { text: string; name: string; value: string }
  | { text: string; name?: never; isNothing: boolean };

/** What begins here: at least one character, and the whole of its line. */
function readEntry(text: string, at: number): Entry {
  NOTHING.lastIndex = SETTING.lastIndex = at;
  const nothing = NOTHING.exec(text);
  if (nothing !== null) return { text: nothing[0], isNothing: true };
  const setting = SETTING.exec(text);
  const { name, value } = setting?.groups ?? {};
  if (setting !== null && name !== undefined && value !== undefined) return { text: setting[0], name, value };
  const end = text.indexOf('\n', at);
  return { text: end === -1 ? text.slice(at) : text.slice(at, end + 1), isNothing: false };
}

/** What is wrong with a setting of ours; those of others are theirs. */
function findMistake(name: string, line: number, before: number | undefined): string | undefined {
  const own = findOwnName(name);
  if (own === undefined) return undefined;
  if (own !== name) return `.env line ${line}: ${explainName(own)}`;
  return before === undefined
    ? undefined
    : `.env sets ${own} twice, on the lines ${before} and ${line}: keep one`;
}

/** The text, with line feeds alone: Node drops a carriage return, and where these alone end lines, two lines become one. */
function decode(bytes: Uint8Array): string {
  const text = decodeAs(encodingOf(bytes), bytes);
  if (text === undefined) throw new ConfigError([explainEncoding(bytes)]);
  return text.replace(/\r\n?/g, '\n');
}

function encodingOf([first, second]: Uint8Array): string {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
}

/** Without the byte-order mark; undefined when it is not in this encoding, or of one that has NUL bytes in every letter. */
function decodeAs(encoding: string, bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Lines end with the same byte in UTF-8 and in all that is mistaken for it, so that each can be tried by itself. */
function explainEncoding(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  const wrong = lines.findIndex((line) => decodeAs('utf-8', Buffer.from(line, 'latin1')) === undefined);
  return `.env line ${wrong + 1} is not UTF-8 text: save the file as UTF-8`;
}
