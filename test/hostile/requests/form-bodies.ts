// Hostile forms, made from a living token: whatever slips through would tell about it, or end it.
import { malformed, tooLarge, type Cell } from './targets.js';
import { LIMIT_BYTES } from './json-bodies.js';

const MEGABYTE = 1024 * 1024;

/** By family, what is refused whatever the token is. */
export function families(token: string): Record<string, Cell[]> {
  return {
    'repeated parameters': repeated(token),
    'brackets and other names': misnamed(token),
    'no form': formless(token),
    'too much': large(token),
  };
}

function ofText(texts: string[]): Cell[] {
  return texts.map((text) => malformed(text.slice(0, 120), text));
}

function repeated(token: string): Cell[] {
  const pair = `token=${token}`;
  const others = [
    'token_type_hint',
    'client_id',
    'client_secret',
    'unknown',
    '__proto__',
    'constructor',
    'toString',
  ];
  const names = [...others, 'length', 'a[]', 'a%00', '%E2%80%8B', ' ', '0', 'pop', 'then'];
  return ofText([
    `${pair}&${pair}`,
    `${pair}&token=`,
    `token=&${pair}`,
    `token&${pair}`,
    `token=other&${pair}`,
    `${pair}&%74oken=${token}`,
    `%74%6F%6b%65%6E=other&${pair}`,
    `${pair}${`&${pair}`.repeat(8)}`,
    ...names.flatMap((name) => [
      `${pair}&${name}=a&${name}=b`,
      `${pair}&${name}=a&${name}=a`,
      `${name}=&${pair}&${name}=`,
    ]),
    // Each is repeated once: thousands of mistakes in one request.
    `${pair}&${Array.from({ length: 3000 }, (_none, index) => (index >> 1).toString(36)).join('&')}`.slice(
      0,
      LIMIT_BYTES,
    ),
  ]);
}

function misnamed(token: string): Cell[] {
  const names = [
    ...[
      'token[]',
      'token[0]',
      'token[a]',
      'token%5B%5D',
      'token[$ne]',
      'token.a',
      'token[__proto__]',
      'Token',
    ],
    ...[
      'TOKEN',
      'token%00',
      '%00token',
      'token%20',
      '+token',
      'tok%65n%00',
      'token%E2%80%8B',
      'access_token',
    ],
    ...[
      '__proto__[token]',
      '__proto__',
      'constructor[prototype][token]',
      'constructor.prototype.token',
      'body[token]',
    ],
    ...['%2574oken', 't\u043eken', 'token%', 'token%zz', ';token', '?token', '#token'],
  ];
  return ofText([
    ...names.map((name) => `${name}=${token}`),
    ...names.map((name) => `token=&${name}=${token}`),
    `token_type_hint=access_token;token=${token}`,
  ]);
}

function formless(token: string): Cell[] {
  return ofText([
    JSON.stringify({ token }),
    JSON.stringify([{ token }]),
    `--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n${token}\r\n--x--`,
    token,
    `=${token}`,
    ...[
      '',
      '&',
      '=',
      '&&&&',
      '====',
      '%',
      '%00',
      '+',
      ' ',
      '\u0000',
      'token',
      'token=',
      'token&',
      '\ufefftoken=a',
    ],
    '&'.repeat(LIMIT_BYTES),
    '='.repeat(LIMIT_BYTES),
    '%'.repeat(LIMIT_BYTES),
    '+'.repeat(LIMIT_BYTES),
    '['.repeat(LIMIT_BYTES),
    'a[b]'.repeat(LIMIT_BYTES / 4),
    'token[a]'.padEnd(LIMIT_BYTES, '[a]'),
  ]);
}

function large(token: string): Cell[] {
  const open = `token=${token}&x=`;
  return [
    tooLarge('one byte more', open.padEnd(LIMIT_BYTES + 1, 'x')),
    tooLarge('one separator more', open.padEnd(LIMIT_BYTES + 1, '&')),
    tooLarge('1 MB', open.padEnd(MEGABYTE, 'x')),
    tooLarge('1 MB of separators', '&'.repeat(MEGABYTE)),
    tooLarge('1 MB of zeros', Buffer.alloc(MEGABYTE)),
  ];
}

/** Texts that a careless reader would take for the token, or that would break what they are put into. */
export function disguises(token: string): string[] {
  const encoded = [
    ...[
      '%00',
      '%20',
      '%09',
      '%0A',
      '%0D%0A',
      '%ED%A0%80',
      '%FF',
      '%C0%80',
      '%E2%80%8B',
      '%EF%BB%BF',
      '%E2%80%AE',
    ],
    ...['%CC%81', '%3D', '=', ';', '+', '%2C', '%27', '%22', '%5C', '%', '%u0041', '%uD800', '.', '[]', '"'],
  ];
  return [
    ...encoded.flatMap((text) => [
      `${token}${text}`,
      `${text}${token}`,
      `${token.slice(0, 30)}${text}${token.slice(30)}`,
    ]),
    token.replaceAll('.', '%2E%2E'),
    token.replaceAll('e', '\u0435'),
    token.toLowerCase(),
    token.split('').reverse().join(''),
    `${token};token=${token}`,
    `%5B%22${token}%22%5D`,
    '.'.repeat(10_000),
    'A'.repeat(LIMIT_BYTES - 6),
    "'%20OR%20''%3D'",
    '%7B%22not%22%3A%22%22%7D',
  ];
}
