// User names and passwords that are not what they look like: with the right password they are still nobody's.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { problemOf } from '../support/answers.js';
import type { TestUser } from '../support/house.js';
import { openStage, type Stage } from './requests/stage.js';
import { LIMIT_BYTES } from './requests/json-bodies.js';
import { JSON_TYPE } from './requests/targets.js';

let stage: Stage;
let alice: TestUser;

const NAME = 'alice@example.com';

beforeAll(async () => {
  stage = await openStage();
  alice = await stage.house.user({ username: NAME });
});
afterAll(() => stage.close());

const INVISIBLE = [
  ...[
    '\u200b',
    '\u200c',
    '\u200d',
    '\u2060',
    '\ufeff',
    '\u00ad',
    '\u034f',
    '\u180e',
    '\u3164',
    '\u115f',
    '\u{e0061}',
  ],
  ...[
    '\u061c',
    '\u200e',
    '\u200f',
    '\u202a',
    '\u202b',
    '\u202c',
    '\u202d',
    '\u202e',
    '\u2066',
    '\u2067',
    '\u2068',
    '\u2069',
  ],
  ...[
    '\ufe0f',
    '\u{e0100}',
    '\ufff9',
    '\ufffc',
    '\ufffd',
    '\uffff',
    '\u{10ffff}',
    '\ue000',
    '\u0000',
    '\u0001',
    '\u007f',
  ],
  ...['\u0085', '\t', '\n', '\r', ' ', '\u00a0', '\u2028', '\u2029', '\u3000'],
];

const COMBINING = [
  '\u0301',
  '\u0327',
  '\u0338',
  '\u20dd',
  '\u0488',
  '\u064b',
  '\u05b0',
  '\u094d',
  '\u3099',
  '\u0e31',
];

/** What some eye, font, or careless comparison takes for the name. */
const LOOKALIKES = [
  ...[
    '\u0430lice@example.com',
    'al\u0456ce@example.com',
    '\u0251lice@example.com',
    'alic\u0435@ex\u0430mple.com',
  ],
  ...[
    '\u{1d41a}lice@example.com',
    '\u24d0lice@example.com',
    '\u00aalice@example.com',
    'al\u2170ce@example.com',
  ],
  ...['al\u0131ce@example.com', 'al\u0130ce@example.com', 'alice\ufe6bexample.com', 'alice@example\u3002com'],
  ...['alice@example\u2024com', 'alice@examp\u217ce.com', 'alice@exam\u1d18le.com', 'moc.elpmaxe@ecila'],
  ...[
    'alice@example.com.',
    'alice',
    '@example.com',
    'alice@example.com@example.com',
    "alice@example.com'--",
    'alice*',
  ],
  ...[
    '\u05d0alice@example.com',
    'alice@example.com\u05d0',
    '\u0627\u0644\u064a\u0633',
    '\u05d0\u05dc\u05d9\u05e11a',
  ],
  ...[
    '%',
    '_____@example.com',
    'alice@example.com%00',
    'alice\\u0040example.com',
    '$1',
    ':username',
    '{{username}}',
    '../alice',
  ],
];

const HOSTILE_NAMES = [
  ...INVISIBLE.flatMap((character) => [
    `${character}${NAME}`,
    `${NAME}${character}`,
    `ali${character}ce@example.com`,
  ]),
  ...COMBINING.flatMap((mark) => [`${mark}${NAME}`, `${NAME}${mark}`, `ali${mark}ce@example.com`]),
  ...LOOKALIKES,
  '',
  'a'.repeat(255),
  NAME.padEnd(LIMIT_BYTES - 200, 'x'),
  '\u0301'.repeat(4000),
  '\ufdfa'.repeat(2000),
];

const SURROGATES = [
  '\ud800',
  '\udfff',
  '\udc00\ud800',
  'a\ud83d',
  '\udc00alice@example.com',
  `${NAME}\ud800`,
];

function logIn(username: string, password: string) {
  const body = JSON.stringify({ username, password });
  return stage.send({ method: 'POST', path: '/login', headers: [['Content-Type', JSON_TYPE]], body });
}

describe('a login with the right password', () => {
  it(`is refused to ${HOSTILE_NAMES.length} names that are not the user's`, async () => {
    const before = await stage.state();
    for (const name of HOSTILE_NAMES) {
      const answer = await logIn(name, alice.password);
      expect([escape(name), problemOf(answer)]).toMatchObject([
        escape(name),
        { status: 401, error: 'invalid_credentials' },
      ]);
      expect(answer.body).not.toContain('alice');
    }
    expect(await stage.state()).toBe(before);
  });

  it('is malformed with a lone surrogate in either member', async () => {
    const before = await stage.state();
    for (const text of SURROGATES) {
      for (const answer of [await logIn(text, alice.password), await logIn(NAME, text)]) {
        expect([escape(text), problemOf(answer)]).toMatchObject([
          escape(text),
          { status: 400, error: 'invalid_request' },
        ]);
      }
    }
    expect(await stage.state()).toBe(before);
  });

  // The same user by RFC 8265: case and width are mapped, so these are no disguise.
  it.each([NAME, NAME.toUpperCase(), '\uff41lice@example.com', 'alice\uff20example.com'])(
    'lets "%s" in',
    async (name) => {
      expect((await logIn(name, alice.password)).statusCode).toBe(200);
    },
  );
});

describe('the right name', () => {
  it('needs the very password, in length and in every character', async () => {
    const { password } = alice;
    const others = [
      ...[
        '',
        ' ',
        '\u0000',
        `${password}\u0000`,
        `${password} `,
        ` ${password}`,
        password.toUpperCase(),
        password.slice(0, -1),
      ],
      ...['\u200b', '\ufeff', '\u0301', '\ufffd', '\uffff', '\u00ad'].flatMap((one) => [
        `${password}${one}`,
        `${one}${password}`,
      ]),
      ...[password.replace('a', '\u0430'), password.replace('p', '\uff50'), `${password}\u0000${password}`],
      ...[
        password.repeat(2),
        password.padEnd(LIMIT_BYTES - 200),
        'a\u0300\u0327'.repeat(3000),
        '*',
        '%',
        '$argon2id$v=19',
      ],
    ];
    const before = await stage.state();
    for (const other of others) {
      await stage.house.database.admin.query('DELETE FROM login_attempts');
      const answer = await logIn(NAME, other);
      expect([escape(other), problemOf(answer)]).toMatchObject([
        escape(other),
        { status: 401, error: 'invalid_credentials' },
      ]);
    }
    expect(await stage.state()).toBe(before);
  });
});

/** Readable when a test fails. */
function escape(text: string): string {
  return JSON.stringify(text.slice(0, 60)).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
