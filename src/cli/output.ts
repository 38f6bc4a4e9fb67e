/** How results look: one line of JSON for programs, tables for people. */
import { StartError } from '../database/start-error.js';

/** What a command will not or cannot do. */
export class Refusal extends StartError {
  override name = 'Refusal';
  /** Whether another call is what helps: exit status 2 instead of 1. */
  readonly isWrongUsage: boolean;

  constructor(message: string, options: { isWrongUsage?: boolean } = {}) {
    super(message);
    this.isWrongUsage = options.isWrongUsage ?? false;
  }
}

/** A row of a list: names as on the wire, times as RFC 3339. */
export type Row = Record<string, string | string[] | boolean | number | null>;

/** One JSON value on one line. What a terminal could take for a command is escaped, which changes no value. */
export function toJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007F-\u009F\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Columns under the names of the first row's members; `none` for an empty list. */
export function toTable(rows: readonly Row[], none: string): string {
  const [first] = rows;
  if (first === undefined) return none;
  const names = Object.keys(first);
  const lines = [
    names.map((name) => name.toUpperCase().replaceAll('_', ' ')),
    ...rows.map((row) => names.map((name) => toCell(row[name] ?? null))),
  ];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => widthOf(line[column] ?? ''))));
  const pad = (cell: string, column: number) => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell));
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

function toCell(value: Row[string]): string {
  if (value === null || value === '') return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value) && value.length === 0) return '-';
  return toLine(Array.isArray(value) ? value.join(' ') : String(value));
}

/** A table, and how to read on. */
export function toPage(rows: readonly Row[], next: string | null, none: string): string {
  const table = toTable(rows, none);
  return next === null ? table : `${table}\nmore: --after ${next}`;
}

/** One thing, a line for each of its members. */
export function toRecord(row: Row): string {
  const names = Object.keys(row);
  const width = Math.max(...names.map((name) => name.length));
  return names
    .map((name) => `${name.toUpperCase().replaceAll('_', ' ').padEnd(width)}  ${toCell(row[name] ?? null)}`)
    .join('\n');
}

/**
 * Text that others wrote, fit for a terminal: a user agent may hold control characters, which a terminal would obey,
 * and a name may turn the direction of what follows.
 */
export function toLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '\uFFFD');
}

/** An id that was typed; what is longer than any of ours may be a token that went astray. */
export function toId(text: string): string {
  return text.length > 36 ? '…' : toLine(text);
}

function widthOf(text: string): number {
  return Array.from(text).length;
}

/** Lines to show below a command's help. */
export function examples(...lines: string[]): string {
  return `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
