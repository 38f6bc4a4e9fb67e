// Wrong, odd and ambiguous content types at every endpoint that takes a body: none is a way around validation.
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, it } from 'vitest';

import { MOST_LINES } from '../../src/domain/operators/import-lines.js';
import { keyFor, openStage, type Stage } from './requests/stage.js';
import {
  BODY_TARGETS,
  expectRefused,
  FORM_TYPE,
  JSON_TYPE,
  LINES_TYPE,
  validBody,
  type Cell,
  type Target,
} from './requests/targets.js';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** As much as the service takes of what would become 10 MB; packed once for all endpoints. */
const BOMB = gzipSync(Buffer.alloc(10_000_000)).subarray(0, 16 * 1024);

/** Odd, but the type by RFC 9110 section 8.3.1: it is read, whatever its parameters say, and validated. */
const SPELLINGS: ((type: string) => string)[] = [
  (type) => type.toUpperCase(),
  (type) => `${type.slice(0, 3)}${type.slice(3).toUpperCase()}`,
  (type) => `${type};`,
  (type) => `${type} ; charset=utf-8`,
  (type) => `${type}\t;\tcharset="utf-8"`,
  (type) => `${type}; charset=UTF-16`,
  (type) => `${type}; charset=utf-7`,
  (type) => `${type}; charset=latin1; charset=utf-8`,
  (type) => `${type}; charset`,
  (type) => `${type}; boundary=x`,
  (type) => `${type}; profile="a;b,c\\"d"`,
  (type) => `${type};${'a=b;'.repeat(500)}`,
];

/** Not the type: refused before anything is read. */
const IMPOSTORS: ((type: string) => string)[] = [
  (type) => `${type}x`,
  (type) => `x${type}`,
  (type) => `${type} x`,
  (type) => `${type}\tx`,
  (type) => `${type}\t\tcharset=utf-8`,
  (type) => `${type},text/plain`,
  (type) => `text/plain, ${type}`,
  (type) => `text/plain; ${type}`,
  (type) => `text/plain; a="${type}"`,
  (type) => `${type}, ${type}`,
  (type) => `${type}/x`,
  (type) => `"${type}"`,
  (type) => `<${type}>`,
  (type) => `${type}+xml`,
  (type) => `${type}\u00a0`,
  (type) => `${type}\u00ff`,
  (type) => type.replace('/', '//'),
  (type) => type.replace('/', ' / '),
  (type) => type.replace('/', ''),
  (type) => type.replace('application', '*'),
  (type) => type.replace('application', 'text'),
  (type) => type.replace('application', 'constructor'),
  (type) => type.slice(0, -1),
];

const STRANGERS = [
  ...[
    'text/plain',
    'text/json',
    'text/html',
    'application/xml',
    'multipart/form-data; boundary=x',
    'multipart/mixed',
  ],
  ...['application/octet-stream', 'application/ld+json', 'application/problem+json', 'application/jsonp'],
  ...[
    'application/json5',
    'application/jwt',
    'application/x-ndjson',
    'application/json-patch+json',
    'image/png',
  ],
  ...[
    '*/*',
    '*',
    'json',
    '/',
    'application/',
    '/json',
    ';',
    ',',
    '{}',
    '__proto__',
    'constructor/prototype',
    'undefined',
  ],
  ...['null', 'a'.repeat(8000), 'application/' + 'a'.repeat(8000)],
];

function typed(target: Target, ...types: string[]): [string, string][] {
  return [...keyFor(target.door, stage), ...types.map((type): [string, string] => ['Content-Type', type])];
}

function unsupported(target: Target, name: string, headers: [string, string][]): Cell {
  return { name, status: 415, error: 'unsupported_media_type', headers, body: validBody(target, stage) };
}

/** Good but for one member: read as something that is not validated, it would be taken. */
function invalidBody(target: Target): string {
  const members = target.members(stage);
  // A line that is wrong is named, and the others are taken: more than there may be are refused.
  if (target.takes === LINES_TYPE) return `${validBody(target, stage)}\n`.repeat(MOST_LINES + 1);
  if (target.takes === JSON_TYPE) return JSON.stringify({ ...members, unknown: 1 });
  return `${validBody(target, stage)}&unknown=1&unknown=1`;
}

function invalid(target: Target, name: string, headers: [string, string][]): Cell {
  return { name, status: 400, error: 'invalid_request', headers, body: invalidBody(target) };
}

describe.each(BODY_TARGETS)('$path', (target) => {
  it('validates its type in every spelling', async () => {
    const cells = SPELLINGS.map((spell) => spell(target.takes)).map((type) =>
      invalid(target, type, typed(target, type)),
    );
    await expectRefused(stage, target, cells);
  });

  it('refuses what only looks like its type', async () => {
    const cells = IMPOSTORS.map((spell) => spell(target.takes)).map((type) =>
      unsupported(target, type, typed(target, type)),
    );
    await expectRefused(stage, target, cells);
  });

  it('refuses every other type, and a body of none', async () => {
    const other = target.takes === JSON_TYPE ? FORM_TYPE : JSON_TYPE;
    const strangers = [other, ...STRANGERS].filter((type) => type !== target.takes);
    const cells = strangers.map((type) => unsupported(target, type, typed(target, type)));
    const untyped = ['', ' ', '\t'].map((type) => unsupported(target, `<${type}>`, typed(target, type)));
    await expectRefused(stage, target, [...cells, ...untyped, unsupported(target, 'none', typed(target))]);
  });

  it('refuses two types, whichever comes first', async () => {
    const { takes } = target;
    const pairs = [
      [takes, 'text/plain'],
      ['text/plain', takes],
      [takes, takes],
      ['', takes],
      [takes, ''],
    ];
    const cells = pairs.map((types) => ({
      ...invalid(target, types.join(), typed(target, ...types)),
      body: validBody(target, stage),
    }));
    await expectRefused(stage, target, cells);
  });

  it('unpacks nothing', async () => {
    const body = Buffer.from(validBody(target, stage) ?? '');
    const packed: [string, Buffer][] = [
      ['gzip', gzipSync(body)],
      ['deflate', deflateSync(body)],
      ['gzip', BOMB],
    ];
    const cells = packed.map(([encoding, bytes]): Cell => {
      const headers: [string, string][] = [...typed(target, target.takes), ['Content-Encoding', encoding]];
      return { name: encoding, status: 400, error: 'invalid_request', headers, body: bytes };
    });
    await expectRefused(stage, target, cells);
  });
});
