// Other spellings of genuine tokens, other serializations of them, and texts that are none: for us, one token is one text.
import { constants, createCipheriv, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';

import { JSON_VECTORS, VECTORS } from '../vectors.js';
import { someSubjects, type HostileToken, type Spoiled } from './hostile-token.js';
import { ALL_PLACES, PLACES } from './places.js';
import { encode, sign, split, type OurKey, type Stage, type Subject } from './stage.js';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export function encodingTokens(stage: Stage): HostileToken[] {
  const spellings = stage.subjects.flatMap((subject) =>
    [...respelled(subject), ...resigned(subject)].map(([how, token]) => ({
      name: `${subject.label}, ${how}`,
      token,
    })),
  );
  const others = someSubjects(stage).flatMap((subject) =>
    [...segmented(subject), ...serialized(subject), ...enclosed(subject), ...encrypted(subject, stage)].map(
      ([how, token]) => ({ name: `${subject.label}, ${how}`, token }),
    ),
  );
  return [...spellings, ...others, ...spaced(stage), ...sized(stage), ...published(), ...texts()];
}

type Spelling = readonly [how: string, token: string];

/** All other texts for the same bytes: the last digit of base64url has bits that nobody needs, unless it is full. */
export function spareSpellings(segment: string): string[] {
  const bytes = Buffer.from(segment, 'base64url');
  return Array.from(DIGITS, (digit) => segment.slice(0, -1) + digit).filter(
    (spelling) => spelling !== segment && Buffer.from(spelling, 'base64url').equals(bytes),
  );
}

/** Texts that a lenient decoder takes for the genuine token, or for its very bytes. Anybody can write them. */
export function respelled({ genuine }: Pick<Subject, 'genuine'>): Spelling[] {
  const segments = split(genuine);
  const at = (place: number, change: (segment: string) => string) =>
    segments.with(place, change(segments[place] ?? '')).join('.');
  return ['header', 'payload', 'signature']
    .flatMap((name, place) => [
      ...spareSpellings(segments[place] ?? '').map((spelling, bits): Spelling => [
        `spare bits of the ${name}: ${bits}`,
        at(place, () => spelling),
      ]),
      ...['=', '==', '===', 'A', 'A===', '%3D', '%3d%3d'].map((end): Spelling => [
        `${name} before ${end}`,
        at(place, (segment) => segment + end),
      ]),
      ...[
        ' ',
        '\t',
        '\n',
        '\r\n',
        '\0',
        '\u00a0',
        '\u200b',
        '-',
        '_',
        '+',
        '/',
        '!',
        '"',
        ',',
        '\ufeff',
        '\u2028',
      ]
        .filter((stray) => place < 2 || stray.trim() !== '' || stray === '\u00a0')
        .map((stray): Spelling => [
          `${name} before ${JSON.stringify(stray)}`,
          at(place, (segment) => segment + stray),
        ]),
      ...[' ', '\n', '\0', '=', '+'].map((stray): Spelling => [
        `${name} around ${JSON.stringify(stray)}`,
        at(place, (segment) => `${segment.slice(0, 8)}${stray}${segment.slice(8)}`),
      ]),
      [
        `${name} in base64`,
        at(place, (segment) => Buffer.from(segment, 'base64url').toString('base64')),
      ] as const,
      [
        `${name} in hexadecimal`,
        at(place, (segment) => Buffer.from(segment, 'base64url').toString('hex')),
      ] as const,
      [
        `${name} as it is`,
        at(place, (segment) => Buffer.from(segment, 'base64url').toString('latin1')),
      ] as const,
      [`${name} encoded twice`, at(place, encode)] as const,
      [`${name} in percents`, at(place, (segment) => segment.replace(/^./, percent))] as const,
      [`${name} in upper case`, at(place, (segment) => segment.toUpperCase())] as const,
      [`${name} in full width`, at(place, (segment) => segment.replace(/^[!-~]/, fullWidth))] as const,
    ])
    .filter(([, token]) => token !== genuine);
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16)}`;
}

function fullWidth(character: string): string {
  return String.fromCharCode(character.charCodeAt(0) + 0xfee0);
}

/** The same for header and payload, signed by our own key as they stand. */
function resigned({ genuine, key }: Subject): Spelling[] {
  return respelled({ genuine }).flatMap(([how, token]): Spelling[] => {
    const [header, payload, signature] = split(token);
    if (signature !== split(genuine)[2]) return [];
    return [[`${how}, signed like that`, sign(key, `${header}.${payload}`)]];
  });
}

/** More and fewer segments than three. */
function segmented({ genuine, key }: Subject): Spelling[] {
  const [header, payload, signature] = split(genuine);
  const short: Record<string, string> = {
    'header alone': header,
    'header and dot': `${header}.`,
    'header and dots': `${header}..`,
    'payload alone': `.${payload}.`,
    'signature alone': `..${signature}`,
    'no signature': `${header}.${payload}`,
    'empty signature': `${header}.${payload}.`,
    'no payload': `${header}..${signature}`,
    'no payload, signed': sign(key, `${header}.`),
    'no header': `.${payload}.${signature}`,
    'no header, signed': sign(key, `.${payload}`),
    'dot before': `.${genuine}`,
    'dot after': `${genuine}.`,
    'four segments': `${genuine}.${signature}`,
    'four segments, signed': sign(key, `${header}.${payload}.${payload}`),
    'five segments': `${genuine}.${payload}.${signature}`,
    'five segments, signed': sign(key, `${header}.${payload}.${payload}.${payload}`),
    twice: `${genuine}.${genuine}`,
    'order changed': `${payload}.${header}.${signature}`,
    reversed: Array.from(genuine).reverse().join(''),
  };
  const many = [10, 100, 1000, 7000, 1_000_000].flatMap((count): Spelling[] => [
    [`${count} more segments`, genuine + '.A'.repeat(count)],
    [`${count} dots`, '.'.repeat(count)],
    [`header and ${count} dots`, header + '.'.repeat(count)],
  ]);
  return [...Object.entries(short), ...many];
}

/** RFC 7515 section 7.2: the JSON serializations, which are no JWTs. */
function serialized({ genuine }: Subject): Spelling[] {
  const [header, payload, signature] = split(genuine);
  const flattened = { payload, protected: header, signature };
  const general = { payload, signatures: [{ protected: header, signature }] };
  const twice = {
    payload,
    signatures: [
      { protected: header, signature },
      { header: { alg: 'none' }, signature: '' },
    ],
  };
  const unprotected = {
    payload,
    header: JSON.parse(Buffer.from(header, 'base64url').toString()) as object,
    signature,
  };
  return [flattened, general, twice, unprotected, { token: genuine }, [genuine], genuine].flatMap(
    (json, at): Spelling[] => [
      [`JSON ${at}`, JSON.stringify(json)],
      [`JSON ${at}, encoded`, encode(JSON.stringify(json))],
      [`JSON ${at}, encoded, dotted`, `${encode(JSON.stringify(json))}..`],
    ],
  );
}

/** The genuine token with something around it. */
function enclosed({ genuine, kind, key }: Subject): Spelling[] {
  const envelopes: [string, string][] = [
    ...[`"`, `'`, '<', '(', '{', '['].map((before): [string, string] => [before, before]),
    ['Bearer ', ''],
    ['Bearer: ', ''],
    ['Basic ', ''],
    ['token=', ''],
    ['', ', Bearer x'],
    ['x, Bearer ', ''],
    ['', ';'],
    ['', '#'],
    ['', '?a=b'],
    ['', '\0'],
    ['\0', ''],
    ['\ufeff', ''],
    ['../', ''],
    ['', "' OR '1'='1"],
    ['a', ''],
    ['', 'a'],
  ];
  const wrapped = encode(
    JSON.stringify({
      alg: key.algorithm,
      typ: `${kind === 'access' ? 'at' : 'rt'}+jwt`,
      kid: key.kid,
      cty: 'JWT',
    }),
  );
  return [
    ...envelopes.map(([before, after]): Spelling => [
      `between ${JSON.stringify(before)} and ${JSON.stringify(after)}`,
      before + genuine + after,
    ]),
    ['within another', sign(key, `${wrapped}.${encode(genuine)}`)],
    ['within another, our header', sign(key, `${split(genuine)[0]}.${encode(genuine)}`)],
    ['encoded', encode(genuine)],
    ['in percents', genuine.replaceAll('.', '%2E')],
    ['with other dots', genuine.replaceAll('.', '\u3002')],
  ];
}

/** JWE (RFC 7516): five segments, once truly encrypted to our own public key. */
function encrypted({ genuine }: Subject, { keys }: Stage): Spelling[] {
  const rsa = keys.find(({ algorithm }) => algorithm === 'RS256');
  if (rsa === undefined) throw new Error('there is no RSA key');
  const direct = encode(JSON.stringify({ alg: 'dir', enc: 'A256GCM', cty: 'JWT' }));
  const [header, payload, signature] = split(genuine);
  return [
    ['encrypted to our key', encryptTo(rsa, genuine)],
    ['JWE in name', `${direct}..${encode(randomBytes(12))}.${encode(genuine)}.${encode(randomBytes(16))}`],
    ['JWE under our header', `${header}.${payload}.${encode(randomBytes(12))}.${payload}.${signature}`],
    ['JWE of nothing', `${direct}....`],
  ];
}

function encryptTo({ publicKey, kid }: OurKey, token: string): string {
  const head = encode(
    JSON.stringify({ alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT', typ: 'at+jwt', kid }),
  );
  const contentKey = randomBytes(32);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', contentKey, nonce).setAAD(Buffer.from(head));
  const text = Buffer.concat([cipher.update(token), cipher.final()]);
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const sealed = publicEncrypt({ key: createPublicKey(publicKey), ...padding }, contentKey);
  return [head, ...[sealed, nonce, text, cipher.getAuthTag()].map(encode)].join('.');
}

/** White space around it. In a header, spaces before it are the header's own (RFC 6750 section 2.1), not the token's. */
function spaced(stage: Stage): HostileToken[] {
  const headers = ALL_PLACES.filter((place) => PLACES[place].isHeader);
  return someSubjects(stage).flatMap(({ label, kind, genuine }) =>
    [' ', '  ', '\t', '\n', '\r\n', '\v', '\u00a0', '\u3000', '\u200b'].flatMap((space) => {
      const name = `${label}, white space ${JSON.stringify(space)}`;
      const isOfHeader = space.trim() === '' && /^ +$/.test(space) && kind === 'access';
      return [
        { name: `${name} before`, token: space + genuine, ...(isOfHeader ? { except: headers } : {}) },
        { name: `${name} after`, token: genuine + space },
      ];
    }),
  );
}

/** From 1 KB to 10 MB, in each segment in turn; what does not fit into a request is refused unread. */
function sized(stage: Stage): HostileToken[] {
  const sizes = [1, 2, 4, 8, 12, 15, 17, 64, 1024, 10 * 1024].map((kib) => kib * 1024);
  const [subject] = someSubjects(stage);
  if (subject === undefined) throw new Error('there is no subject');
  const [header, payload, signature] = split(subject.genuine);
  const { claims, header: head, forge } = subject;
  return sizes.flatMap((size) => {
    const fill = (text: string) => 'A'.repeat(Math.max(size - text.length, 1));
    const longest = size > 64 * 1024;
    const ways: Spoiled[] = [
      ['no token', 'A'.repeat(size)],
      ['header', `${header}${fill(subject.genuine)}.${payload}.${signature}`],
      ['payload', `${header}.${payload}${fill(subject.genuine)}.${signature}`],
      ['signature', `${subject.genuine}${fill(subject.genuine)}`],
      [
        'signed claims',
        forge(JSON.stringify(head), JSON.stringify({ ...claims, iss: 'i'.repeat(size / 2) })),
      ],
    ];
    return (longest ? ways.slice(0, 1) : ways).map(([how, text]) => ({
      name: `${size} bytes: ${how}`,
      token: String(text),
    }));
  });
}

/** The examples of the standards are signed, but not by us. */
function published(): HostileToken[] {
  return [
    ...VECTORS.map(({ source, token }) => ({ name: source, token })),
    ...JSON_VECTORS.map(({ source, text }) => ({ name: source, token: text })),
  ];
}

/** What else is found in headers and forms. */
function texts(): HostileToken[] {
  const odd = [
    ...[
      '',
      '.',
      '..',
      '...',
      '....',
      'a',
      'a.b',
      'a.b.c',
      'a.b.c.d.e',
      'null',
      'undefined',
      'true',
      '0',
      '{}',
      '[]',
    ],
    ...[
      '[object Object]',
      '""',
      'Bearer',
      'e30.e30.',
      'e30.e30.e30',
      'bnVsbA.bnVsbA.bnVsbA',
      '=',
      '==',
      '-',
      '_',
    ],
    ...[
      "' OR '1'='1",
      '../../etc/passwd',
      '%00',
      '\0',
      '%s%n',
      '${jndi:ldap://127.0.0.1/a}',
      '<script>',
      '\ud800',
    ],
    ...['\u202e', '\ufeff', 'é.é.é', '😀.😀.😀', '__proto__', 'constructor', '__proto__.__proto__.__proto__'],
    ...[
      '019a0000-0000-7000-8000-000000000000',
      '*',
      '\r\nX-Auth-Subject: root',
      'A'.repeat(86),
      '\\',
      '\\u0000',
    ],
  ];
  return odd.map((token) => ({ name: `text ${JSON.stringify(token)}`, token }));
}
