// Hostile JSON, made from members that an endpoint takes: whatever slips through would succeed.
import { malformed, tooLarge, type Cell } from './targets.js';

type Members = Record<string, string | boolean | string[]>;

export const LIMIT_BYTES = 16 * 1024;
const MEGABYTE = 1024 * 1024;

/**
 * @param limit of the endpoint, in bytes
 * @param takesNull whether null takes a member away, as in a merge patch
 */
export function families(
  members: Members,
  {
    limit = LIMIT_BYTES,
    takesNull = false,
  }: { limit?: number | undefined; takesNull?: boolean | undefined } = {},
): Record<string, Cell[]> {
  return {
    'no object at the root': primitives(members),
    'deep nesting': nested(members, limit),
    'too much': large(members, limit),
    'repeated members': repeated(members),
    'unknown and missing members': strangers(members),
    'operators and other types': operators(members, takesNull),
    'prototype members': prototypes(members),
    'what is no JSON': broken(members),
    'what is no UTF-8': misencoded(members),
  };
}

function ofText(texts: string[]): Cell[] {
  return texts.map((text) => malformed(text.slice(0, 120), text));
}

function ofValues(values: unknown[]): Cell[] {
  return ofText(values.map((value) => JSON.stringify(value)));
}

function primitives(members: Members): Cell[] {
  const wrapped = [[], [null], [members], [[members]], Object.entries(members), Array(3000).fill(null)];
  return [
    ...ofText(['true', 'false', '0', '-1', '-0', '1e999', '1e-999', '12345678901234567890', '""', '"text"']),
    ...ofValues([...wrapped, JSON.stringify(members)]),
  ];
}

function nested(members: Members, limit: number): Cell[] {
  const arrays = '['.repeat(limit / 2) + ']'.repeat(limit / 2);
  const levels = Math.floor((limit - 1) / 6);
  const objects = '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);
  const within = Object.entries(members).map(([name]) => {
    const rest = JSON.stringify({ ...members, [name]: '@' });
    const depth = Math.floor((limit - rest.length) / 2);
    return rest.replace('"@"', '['.repeat(depth) + ']'.repeat(depth));
  });
  const unclosed = ['[', '{"a":', '[{"a":'].map((open) => open.repeat(Math.floor(limit / open.length)));
  return ofText([arrays, objects, ...within, ...unclosed, ']'.repeat(limit)]);
}

function large(members: Members, limit: number): Cell[] {
  const valid = JSON.stringify(members);
  const much = Math.max(MEGABYTE, 2 * limit);
  const stuffed = (bytes: number) => {
    const open = `${valid.slice(0, -1)},"x":"`;
    return `${open}${'x'.repeat(bytes - open.length - 2)}"}`;
  };
  return [
    malformed('all that is allowed, with an unknown member', stuffed(limit)),
    tooLarge('one byte more', stuffed(limit + 1)),
    // Valid to the last byte: nothing but its length is wrong.
    tooLarge('one space more', valid.padEnd(limit + 1)),
    tooLarge('one space more, in front', valid.padStart(limit + 1)),
    tooLarge('far too much, with an unknown member', stuffed(much)),
    tooLarge('far too much, of spaces', valid.padEnd(much)),
    tooLarge('far too much, of brackets', '['.repeat(much)),
    tooLarge('far too much, of zeros', Buffer.alloc(much)),
  ];
}

/** Each repeated member is once what it should be, so that whichever counts, the request would be taken. */
function repeated(members: Members): Cell[] {
  const written = Object.entries(members).map(([name, value]) => [name, JSON.stringify(value)] as const);
  const object = (pairs: string[]) => `{${pairs.join(',')}}`;
  const all = written.map(([name, value]) => `"${name}":${value}`);
  return ofText(
    written.flatMap(([name, value]) => {
      const escaped = `\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`;
      return [
        object([...all, `"${name}":${value}`]),
        object([...all, `"${name}":null`, `"${name}":${value}`]),
        object([`"${name}":"other"`, ...all]),
        object([`"${name}":{"a":[1,{"b":2}]}`, ...all]),
        object([...all, `"${escaped}":${value}`]),
        object([`"${escaped}":"\\",:{}\\\\"`, ...all]),
        object([...all, `"${name}" \n : \t ${value}`]),
        object([...all, ...Array<string>(20).fill(`"${name}":${value}`)]),
      ];
    }),
  );
}

function strangers(members: Members): Cell[] {
  const names = [
    ...[
      '',
      ' ',
      '0',
      'admin',
      'scope',
      '$where',
      '$gt',
      'username[]',
      'toString',
      'hasOwnProperty',
      'valueOf',
    ],
    ...[
      'constructor',
      'prototype',
      '__defineGetter__',
      'then',
      'toJSON',
      'Username',
      'PASSWORD',
      'username ',
    ],
    ...Object.keys(members).flatMap((name) => [`${name}\u0000`, `${name}[]`, `${name}\u200b`, ` ${name}`]),
  ];
  const many = Object.fromEntries(Array.from({ length: 1200 }, (_none, index) => [`k${index}`, index]));
  return ofValues([
    ...names.filter((name) => !(name in members)).map((name) => ({ ...members, [name]: 'x' })),
    { ...members, ['\ud800']: 1 },
    { ...members, ...many },
    { ...members, nested: members },
  ]);
}

function operators(members: Members, takesNull: boolean): Cell[] {
  return ofValues(
    Object.entries(members).flatMap(([name, value]) => {
      const operands = [
        ...['not', 'contains', 'startsWith', 'gt', 'equals', '$gt', '$ne', '$regex', '$where', '0', 'length'],
        ...['toString', 'valueOf', 'value', '$queryRaw', 'path'],
      ].flatMap((operator) => [{ [operator]: '' }, { [operator]: value }, { [operator]: null }]);
      const others = [
        ...(takesNull ? [] : [null]),
        0,
        1,
        -1,
        1e21,
        0.5,
        // A list may be empty at some.
        ...(Array.isArray(value) ? [] : [[]]),
        {},
        [value],
        [[value]],
        { in: [value] },
        { OR: [{}, {}] },
      ];
      const wrong = typeof value === 'boolean' ? ['true', 'false', '', 'on'] : [true, false];
      return [...operands, ...others, ...wrong].map((other) => ({ ...members, [name]: other }));
    }),
  );
}

function prototypes(members: Members): Cell[] {
  const valid = JSON.stringify(members);
  const rest = valid.slice(1);
  return ofText([
    `{"__proto__":${valid}}`,
    `{"__proto__":${valid},${rest}`,
    `{"__proto__":null,${rest}`,
    `{"__proto__":[],${rest}`,
    `{"__proto__":"x",${rest}`,
    `{"\\u005f_proto_\\u005F":${valid},${rest}`,
    `{"__proto__" : {"__proto__":{"isAdmin":true}},${rest}`,
    `{"constructor":{"prototype":${valid}}}`,
    `{"constructor":{"prototype":{"isAdmin":true}},${rest}`,
    `{"c\\u006fnstructor":{"prototype":{}},${rest}`,
    `{"constructor":{"name":"Object"},${rest}`,
    `{"a":{"__proto__":{}},${rest}`,
    `[{"__proto__":${valid}}]`,
  ]);
}

function broken(members: Members): Cell[] {
  const valid = JSON.stringify(members);
  const open = valid.slice(0, -1);
  const around = [
    ...[
      `${valid}${valid}`,
      `${valid},`,
      `${valid};`,
      `${valid}x`,
      `${valid}\u0000`,
      `\u0000${valid}`,
      `(${valid})`,
    ],
    ...[open, `${open},}`, `${open},"a":}`, `${open},"a":undefined}`, `${open},"a":NaN}`, `${open},a:1}`],
    ...[`${open},"a":Infinity}`, `${open},"a":0x1}`, `${open},"a":01}`, `${open},"a":+1}`, `${open},"a":.5}`],
    ...[
      `${open}/**/}`,
      `${valid}//`,
      `)]}',\n${valid}`,
      `${open},"a":"\n"}`,
      `${open},"a":"\u0000"}`,
      `${open},"a":"\\x41"}`,
    ],
    ...[valid.replaceAll('"', "'"), valid.replaceAll('"', '\u201d'), `callback(${valid})`, `\u00a0${valid}`],
    ...[' ', '\n', '{', '}', '"', '\\', 'nul', 'undefined', '<a/>', '\u0000', '\u2028', '----'],
    new URLSearchParams(members as Record<string, string>).toString(),
  ];
  return ofText(around);
}

function misencoded(members: Members): Cell[] {
  const valid = JSON.stringify(members);
  const [name] = Object.keys(members);
  const withBytes = (...bytes: number[]) => {
    const [before = '', after = ''] = JSON.stringify({ ...members, [`${name}@`]: '' }).split('@');
    return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
  };
  return [
    malformed('a stray byte', withBytes(0xff)),
    malformed('a cut sequence', withBytes(0xe2, 0x82)),
    malformed('an overlong NUL', withBytes(0xc0, 0x80)),
    malformed('an overlong quote', withBytes(0xc0, 0xa2)),
    malformed('a raw surrogate', withBytes(0xed, 0xa0, 0x80)),
    malformed('beyond Unicode', withBytes(0xf4, 0x90, 0x80, 0x80)),
    malformed('UTF-16LE', Buffer.from(valid, 'utf16le')),
    malformed('UTF-16LE with its mark', Buffer.from(`\ufeff${valid}`, 'utf16le')),
    malformed('UTF-16BE', Buffer.from(valid, 'utf16le').swap16()),
    malformed('two byte order marks', `\ufeff\ufeff${valid}`),
    malformed('a byte order mark within', valid.replace(':', ':\ufeff')),
  ];
}

/** The members with bytes in a value that are no UTF-8: read leniently, they would be one character, U+FFFD. */
export function withStrayByte(members: Members, name: string): Buffer {
  const value = Array.isArray(members[name]) ? ['@@'] : '@@';
  const [before = '', after = ''] = JSON.stringify({ ...members, [name]: value }).split('@@');
  return Buffer.concat([Buffer.from(before), Buffer.from([0xff]), Buffer.from(after)]);
}
