// Tokens under our own header and signed by our own key, with claims that we never write: the guards have to refuse them.
import {
  placesFor,
  someSubjects,
  withMember,
  withoutMember,
  withTwin,
  type HostileToken,
  type Spoiled,
} from './hostile-token.js';
import type { Place } from './places.js';
import type { Stage, Subject } from './stage.js';

const OTHER = '019a0000-0000-7000-8000-00000000000f';

export function claimTokens(stage: Stage): HostileToken[] {
  return someSubjects(stage).flatMap((subject) => {
    const spoiled = [
      ...dates(subject),
      ...parties(subject),
      ...identities(subject),
      ...lineages(subject),
      ...strangers(subject),
      ...payloads(subject),
    ];
    const tokens = spoiled.map(([how, payload]) => ({
      name: `${subject.label}, ${how}`,
      token: subject.forge(JSON.stringify(subject.header), payload),
    }));
    return [...tokens, ...overdue(subject, stage)];
  });
}

/** What no claim may be, whatever its type. */
const NEVER = 'null true [] {} [null] {"a":1} "" "x"';

function never({ claims }: Subject, name: string): Spoiled[] {
  return [
    [`no ${name}`, withoutMember(claims, name)],
    ...NEVER.split(' ').map((json): Spoiled => [`${name}: ${json}`, withMember(claims, name, json)]),
    [`${name} twice, ours last`, withTwin(claims, name, 'null', true)],
    [`${name} twice, ours first`, withTwin(claims, name, 'null', false)],
    [`${name} twice, both ours`, withTwin(claims, name, JSON.stringify(claims[name]), false)],
    [`${name} in a list`, withMember(claims, name, JSON.stringify([claims[name]]))],
    [`${name} in an object`, withMember(claims, name, JSON.stringify({ value: claims[name] }))],
  ];
}

/** RFC 7519 section 2: a NumericDate is a number; ours are whole, and PostgreSQL has to know them. */
function dates(subject: Subject): Spoiled[] {
  const { claims } = subject;
  const { iat, exp, session_exp: end, auth_time: opened } = claims as Record<string, number>;
  const numbers =
    '1e999 -1e999 -1 -0.5 0.5 1e21 9007199254740992 9007199254740991 9300000000000 NaN Infinity 0x7f 010';
  const set = (name: string, value: unknown): Spoiled => [
    `${name}: ${JSON.stringify(value)}`,
    withMember(claims, name, JSON.stringify(value)),
  ];
  const far = (seconds: number): Spoiled => [
    `everything until ${seconds}`,
    JSON.stringify({ ...claims, exp: seconds, session_exp: seconds }),
  ];
  return [
    ...['exp', 'iat', 'session_exp', 'auth_time'].flatMap((name) => [
      ...never(subject, name),
      ...numbers.split(' ').map((json): Spoiled => [`${name}: ${json}`, withMember(claims, name, json)]),
      set(name, String(claims[name])),
      set(name, Number(claims[name]) + 0.5),
      set(name, new Date(Number(claims[name]) * 1000).toISOString()),
    ]),
    set('exp', 0),
    set('exp', iat),
    set('exp', Number(iat) - 1),
    set('exp', Number(end) + 1),
    set('iat', exp),
    set('iat', Number(exp) + 1),
    set('iat', Number(end) + 1),
    set('session_exp', 0),
    set('session_exp', opened),
    set('session_exp', Number(opened) - 1),
    set('session_exp', Number(exp) - 1),
    set('auth_time', end),
    set('auth_time', Number(end) + 1),
    // Numbers to JavaScript, but no times to PostgreSQL.
    far(9_223_372_036_854),
    far(Number.MAX_SAFE_INTEGER),
  ];
}

function parties(subject: Subject): Spoiled[] {
  const { claims, kind } = subject;
  const iss = String(claims['iss']);
  const aud = String(claims['aud']);
  const audiences = [
    ...['gatehous', 'gatehouse2', 'Gatehouse', ' gatehouse', 'gatehouse ', 'gatehouse\0', 'g\u0430tehouse'],
    ...[
      '*',
      'account',
      'https://other.example',
      kind === 'access' ? iss : 'gatehouse',
      `${iss}/`,
      '__proto__',
    ],
    ...[[aud, 'other'], ['other', aud], [aud, aud], [[aud]], 7, { [aud]: true }],
  ];
  const issuers = [
    ...[
      `${iss}/`,
      `${iss}.evil.example`,
      iss.slice(0, -1),
      iss.toUpperCase(),
      iss.replace('http:', 'https:'),
    ],
    ...[
      `${iss}\0`,
      ` ${iss}`,
      `${iss}?`,
      `${iss}#`,
      `${iss}:80`,
      `//${iss}`,
      'https://evil.example',
      '__proto__',
    ],
    ...[
      `https://evil.example/${iss}`,
      iss.replace('g', '\u0261'),
      iss.replace('://', '://a@'),
      [iss, iss],
      7,
    ],
  ];
  const set = (name: string, value: unknown): Spoiled => [
    `${name}: ${JSON.stringify(value)}`,
    withMember(claims, name, JSON.stringify(value)),
  ];
  return [
    ...never(subject, 'iss'),
    ...never(subject, 'aud'),
    ...issuers.map((value) => set('iss', value)),
    ...audiences.map((value) => set('aud', value)),
  ];
}

function identities(subject: Subject): Spoiled[] {
  const { claims, kind } = subject;
  const set = (name: string, json: string): Spoiled => [`${name}: ${json}`, withMember(claims, name, json)];
  const ids = ['sub', 'sid'].flatMap((name) => {
    const id = String(claims[name]);
    const spellings = [
      ...[
        id.toUpperCase(),
        id.replaceAll('-', ''),
        `{${id}}`,
        `urn:uuid:${id}`,
        ` ${id}`,
        `${id} `,
        `${id}\n`,
      ],
      ...[
        `${id}\0`,
        `${id}.0`,
        `${id}' OR '1'='1`,
        id.slice(1),
        `${id}0`,
        id.replace('-', '\u2010'),
        '%',
        '*',
      ],
      ...['00000000000000000000000000000000', '__proto__', 'null', '../..', id.replace(/\d/, '\uff10')],
    ];
    return [
      ...never(subject, name),
      ...spellings.map((value) => set(name, JSON.stringify(value))),
      ...['0', '7', '-1', '1e999'].map((json) => set(name, json)),
    ];
  });
  if (kind === 'refresh') return [...ids, set('sid', JSON.stringify(OTHER))];
  const texts = ['client_id', 'username'].flatMap((name) => [
    [`no ${name}`, withoutMember(claims, name)] as const,
    ...'null true [] {} ["a"] {"a":1} 7'.split(' ').map((json) => set(name, json)),
  ]);
  // RFC 6749 section 3.3 has few characters; the rest would end up in a header of ours.
  const scopes = ['null', 'true', '[]', '{}', '["read"]', '7', '""', '" "', '" read"', '"a  b"', '"a\\nb"'];
  const odd = ['"a\\r\\nX-Auth-Subject: root"', '"\\u0000"', '"\\u00e9"', '"\\ud800"', '"a\\tb"', '"a\\\\b"'];
  return [
    ...ids,
    ...texts,
    ...[...scopes, ...odd].map((json) => set('scope', json)),
    set('username', '"\\ud800"'),
    set('username', '"a\\udc00b"'),
  ];
}

function lineages(subject: Subject): Spoiled[] {
  const { claims } = subject;
  const lineage = String(claims['jti']).split('.')[0] ?? '';
  const generations = [
    ...[
      '',
      '.',
      '..',
      '..0',
      '.0.0',
      '.00',
      '.01',
      '.-0',
      '.-1',
      '.+1',
      '.1e3',
      '.0x1',
      '.1.5',
      '. 0',
      '.0 ',
    ],
    ...[
      '.9007199254740992',
      '.9007199254740993',
      '.1000000000',
      '.4294967296',
      '.\u0660',
      '.0\n',
      '.0\0',
      '.NaN',
    ],
    ...['.Infinity', '.null', '.a', '.0;', `.${'9'.repeat(400)}`, ',0', ':0', '-0', '.0n', '.1_0'],
  ];
  const odd = [
    ...[
      '.',
      '..',
      '.0',
      '0.0',
      'a.0',
      '\0.0',
      '__proto__.0',
      '%.0',
      "' OR 1=1 --.0",
      `${lineage.toUpperCase()}.0`,
    ],
    ...[`{${lineage}}.0`, `${lineage.replaceAll('-', '')}.0`, ` ${lineage}.0`, `${lineage.slice(1)}.0`],
    ...[`${lineage}0.0`, `${lineage},${OTHER}.0`],
  ];
  return [
    ...never(subject, 'jti'),
    ...[...generations.map((generation) => lineage + generation), ...odd].map((jti): Spoiled => [
      `jti: ${JSON.stringify(jti).slice(0, 60)}`,
      withMember(claims, 'jti', JSON.stringify(jti)),
    ]),
    ...['0', '1.0', '1e999'].map((json): Spoiled => [`jti: ${json}`, withMember(claims, 'jti', json)]),
    ...(subject.kind === 'refresh'
      ? [['jti of another session', withMember(claims, 'jti', `"${OTHER}.0"`)] as const]
      : []),
  ];
}

/** Claims that are none of ours: we have never issued such a token, so it is not alive, whatever they mean elsewhere. */
function strangers({ kind, claims }: Subject): Spoiled[] {
  const { iat, exp } = claims as Record<string, number>;
  const values: [string, string][] = [
    ...[0, iat, exp, Number(exp) + 1, 2e10].map((date): [string, string] => ['nbf', String(date)]),
    ...['null', '"x"', '1e999', '[]'].map((json): [string, string] => ['nbf', json]),
    ...['null', '{}', '{"sub":"x","exp":9e9}', '[]', '"x"'].map((json): [string, string] => [
      '__proto__',
      json,
    ]),
    ['constructor', '{"prototype":{"active":true}}'],
    ['toString', '"x"'],
    ['toJSON', '"x"'],
    ['hasOwnProperty', 'null'],
    ['active', 'false'],
    ['active', 'true'],
    ['token_type', '"DPoP"'],
    ['cnf', '{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}'],
    ['act', '{"sub":"root"}'],
    ['roles', '["admin"]'],
    ['permissions', '"*"'],
    ['', '1'],
    ['EXP', '9000000000'],
    ...(kind === 'refresh'
      ? [
          ['client_id', '"gatehouse"'] as [string, string],
          ['username', '"root"'] as [string, string],
          ['scope', '"admin"'] as [string, string],
        ]
      : []),
  ];
  return values.map(([name, json]) => [`with ${name}: ${json}`, withMember(claims, name, json)]);
}

/** Payloads that are no set of claims, or not in the one spelling that we write. */
function payloads({ claims }: Subject): Spoiled[] {
  const text = JSON.stringify(claims);
  const bytes = Buffer.from(text);
  const invalid = (byte: number) => {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(byte, changed.indexOf('http'));
    return changed;
  };
  const odd = '[1] null "x" 1 true false 0 -0 1e999 [] {} "" [[]] { } [ nul {"a" NaN undefined';
  return [
    ...odd.split(' ').map((payload): Spoiled => [`payload ${payload}`, payload]),
    ['payload empty', ''],
    ['payload in a list', `[${text}]`],
    ['payload in a string', JSON.stringify(text)],
    ['payload in claims', `{"claims":${text}}`],
    ['payload in __proto__', `{"__proto__":${text}}`],
    ['payload twice', text + text],
    ['payload cut', text.slice(0, -1)],
    ['payload after a BOM', `\ufeff${text}`],
    ['payload before NUL', `${text}\0`],
    ['payload before a newline', `${text}\n`],
    ['payload after a space', ` ${text}`],
    ['payload with spaces', JSON.stringify(claims, null, 1)],
    ['payload in UTF-16, little', Buffer.from(text, 'utf16le')],
    ['payload in UTF-16, big', Buffer.from(text, 'utf16le').swap16()],
    ['payload with a comma too many', text.replace(/\}$/, ',}')],
    ['payload with a comment', text.replace('{', '{/* */')],
    ['payload in single quotes', text.replaceAll('"', "'")],
    ['payload with escapes', text.replace('"iss"', '"\\u0069ss"')],
    ['payload with escaped slashes', text.replaceAll('/', '\\/')],
    ['payload with 1.0', text.replace(/"iat":(\d+)/, '"iat":$1.0')],
    ['payload with an exponent', text.replace(/"iat":(\d+)/, '"iat":$1e0')],
    ['payload deep', `${'['.repeat(3000)}${']'.repeat(3000)}`],
    ['payload with deep claim', withMember(claims, 'deep', `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`)],
    ...[0x80, 0xc0, 0xed, 0xf5, 0xfe, 0xff].map((byte): Spoiled => [
      `payload with the byte ${byte.toString(16)}`,
      invalid(byte),
    ]),
    ['payload as a form', new URLSearchParams({ sub: String(claims['sub']) }).toString()],
  ];
}

/** Ours in every letter, but over. Only what ends a session takes them: it had to know them once (contract section 3). */
function overdue({ label, kind, header, claims, forge }: Subject, { now }: Stage): HostileToken[] {
  const ending: Place[] = ['/logout', '/logout body', '/revoke'];
  const except = placesFor(kind).filter((place) => ending.includes(place));
  const ended = [
    { ...claims, iat: now - 4000, exp: now - 3600 },
    { ...claims, iat: now - 4000, exp: now - 400, session_exp: now - 400, auth_time: now - 5000 },
    { ...claims, iat: 1, exp: 2, auth_time: 0, session_exp: 3 },
    { ...claims, sub: OTHER },
    { ...claims, sid: OTHER, ...(kind === 'refresh' ? { jti: `${OTHER}.0` } : {}) },
  ];
  return ended.map((each, at) => ({
    name: `${label}, over or of nobody: ${at}`,
    token: forge(JSON.stringify(header), JSON.stringify(each)),
    except,
  }));
}
