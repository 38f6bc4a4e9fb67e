// docs/logs.md names every line that the service can write, with its level and members, and no other.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript-api';
import { describe, expect, it } from 'vitest';

import { ENDS } from '../../../src/domain/sessions/endings.js';

const page = readFileSync('docs/logs.md', 'utf8');
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** What stands for a part of a line that differs. */
const ANY = '…';

interface Line {
  /** Each text that it can be. */
  texts: string[];
  levels: string[];
  members: string[];
}

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.includes('generated'))
  .map((file) => {
    const path = join('src', file);
    return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  });

function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of node.getChildren()) yield* nodesOf(child);
}

/** What a name stands for in its file, where that is declared there. */
function valueOf(node: ts.Expression): ts.Expression | undefined {
  if (!ts.isIdentifier(node)) return undefined;
  for (const each of nodesOf(node.getSourceFile()))
    if (ts.isVariableDeclaration(each) && each.name.getText() === node.text) return each.initializer;
  return undefined;
}

/** The texts that an expression can be; of one that cannot be read, {@link ANY}. */
function textsOf(node: ts.Expression): string[] {
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isParenthesizedExpression(node)) return textsOf(node.expression);
  if (ts.isConditionalExpression(node)) return [...textsOf(node.whenTrue), ...textsOf(node.whenFalse)];
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken)
    return textsOf(node.left).flatMap((left) => textsOf(node.right).map((right) => left + right));
  if (ts.isTemplateExpression(node))
    return node.templateSpans.reduce(
      (texts, { expression, literal }) =>
        texts.flatMap((text) => textsOf(expression).map((part) => text + part + literal.text)),
      [node.head.text],
    );
  const value = valueOf(node);
  if (value !== undefined) return textsOf(value);
  return [ANY];
}

/** The members of an object, as far as it is written out; none that are spread into it. */
function membersOf(node: ts.Expression): string[] {
  const object = valueOf(node) ?? node;
  if (!ts.isObjectLiteralExpression(object)) return [];
  return object.properties.flatMap(({ name }) => (name === undefined ? [] : [name.getText()]));
}

/** The line that a call writes; null for a call that writes none. */
function findLine(node: ts.Node): Line | null {
  if (!ts.isCallExpression(node)) return null;
  const { expression: callee, arguments: given } = node;
  if (!ts.isPropertyAccessExpression(callee) && !ts.isElementAccessExpression(callee)) return null;
  if (!/(?:^|\.)log(?:ger)?$/.test(callee.expression.getText())) return null;
  const levels = ts.isPropertyAccessExpression(callee)
    ? [callee.name.text]
    : textsOf(callee.argumentExpression);
  if (!levels.every((level) => LEVELS.includes(level))) return null;
  const [subject, message = subject] = given;
  if (message === undefined) throw new Error(`${callee.getText()} says nothing`);
  return {
    texts: textsOf(message),
    levels,
    members: subject === message ? [] : membersOf(subject as ts.Expression),
  };
}

const written = sources.flatMap((source) => [...nodesOf(source)].flatMap((node) => findLine(node) ?? []));

/** Rows of a section: the words in backticks of each of its cells. */
function rowsOf(title: string): string[][][] {
  const [, section = ''] = page.split(`\n## ${title}\n`);
  const [rows = ''] = section.split('\n## ');
  return rows
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)),
    );
}

const documented = [...rowsOf('Lines while it serves'), ...rowsOf('Lines at start and end')].map(
  ([[text = ''] = [], levels = [], members = []]) => ({ text, levels, members }),
);

describe('the page on logs', () => {
  it('has each line that is written, at its level, and no other', () => {
    const found = written.flatMap(({ texts, levels }) =>
      texts.map((text) => `${text} (${levels.toSorted().join()})`),
    );
    const rows = documented.map(({ text, levels }) => `${text} (${levels.toSorted().join()})`);
    expect(found.length).toBeGreaterThan(30);
    expect(rows.toSorted()).toEqual([...new Set(found)].sort());
  });

  const members = new Map(written.flatMap((line) => line.texts.map((text) => [text, line.members] as const)));

  it('names the members of each line', () => {
    for (const { text, members: named } of documented)
      if (text !== 'answered') expect(named.toSorted(), text).toEqual((members.get(text) ?? []).toSorted());
  });

  it('names the members of the line of a request', () => {
    const trail = sources
      .flatMap((source) => [...nodesOf(source)])
      .find((node) => ts.isInterfaceDeclaration(node) && node.name.text === 'Trail');
    const noted = (trail as ts.InterfaceDeclaration).members.map(({ name }) => name?.getText() ?? '');
    const rows = rowsOf('The line of a request').map(([[name = ''] = []]) => name);
    expect(rows.toSorted()).toEqual([...new Set([...(members.get('answered') ?? []), ...noted])].sort());
  });

  it('explains each word that a request is refused or something is ended for', () => {
    const words = sources.flatMap((source) =>
      [...nodesOf(source)].flatMap((node) =>
        ts.isNewExpression(node) && /^(?:Reason|LimitReached)$/.test(node.expression.getText())
          ? textsOf(node.arguments?.[0] as ts.Expression)
          : [],
      ),
    );
    const byRequests = Object.entries(ENDS)
      .filter(([, actors]) => actors.some((actor) => actor !== 'cli'))
      .map(([reason]) => reason);
    const rows = rowsOf('Reasons').map(([[word = ''] = []]) => word);
    const found = new Set([...words.filter((word) => /^\w+$/.test(word)), ...byRequests]);
    expect(rows.toSorted()).toEqual([...found].sort());
  });
});
