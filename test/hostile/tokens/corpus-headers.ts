// Tokens whose signature by our own key holds, over headers that we never write; and headers that bring a key of their own.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';

import {
  placesFor,
  someSubjects,
  withMember,
  withoutMember,
  withTwin,
  type HostileToken,
  type Spoiled,
} from './hostile-token.js';
import { encode, sign, split, TYPES, type OurKey, type Stage, type Subject } from './stage.js';

export function headerTokens(stage: Stage): HostileToken[] {
  return someSubjects(stage).flatMap((subject) => {
    const payload = JSON.stringify(subject.claims);
    const spoiled = [
      ...critical(subject),
      ...pointers(subject, stage),
      ...keyIds(subject, stage),
      ...shapes(subject),
    ];
    return [
      ...spoiled.map(([how, header]) => ({
        name: `${subject.label}, ${how}`,
        token: subject.forge(header, payload),
      })),
      ...broughtKeys(subject, stage),
      ...unencoded(subject),
    ];
  });
}

/** Every other `typ` on every endpoint: a token is taken for nothing but what its type says. */
export function typeTokens(stage: Stage): HostileToken[] {
  const types =
    'at+jwt rt+jwt JWT jwt JWS JOSE id_token ID at rt at+JWT AT+JWT application/at+jwt application/rt+jwt ' +
    'logout+jwt secevent+jwt dpop+jwt token-introspection+jwt client-authentication+jwt oauth-authz-req+jwt ' +
    'entity-statement+jwt passport vc+jwt kb+jwt statuslist+jwt refresh Bearer refresh+jwt at+jwt,rt+jwt at+jwt+jwt';
  return stage.subjects.flatMap(({ label, kind, header, claims, forge }) =>
    types.split(' ').map((typ) => {
      const name = `${label}, claims as typ ${typ}`;
      const token = forge(JSON.stringify({ ...header, typ }), JSON.stringify(claims));
      // The diagonal: where a kind is taken, it passes. Everywhere else it has to be refused.
      return typ === TYPES[kind] ? { name, token, except: placesFor(kind) } : { name, token };
    }),
  );
}

/** `crit` (RFC 7515 section 4.1.11): we understand no extension. */
function critical({ header }: Subject): Spoiled[] {
  const values =
    '["exp"] ["b64"] ["alg"] ["crit"] ["kid"] ["http://example.com/unknown"] ["exp","exp"] [] [""] [1] [null] ' +
    '[[]] "exp" "" null true 0 {} {"0":"exp"}';
  return [
    ...values.split(' ').map((json): Spoiled => [`crit: ${json}`, withMember(header, 'crit', json)]),
    ...values
      .split(' ')
      .map((json): Spoiled => [`crit: ${json} and exp`, withMember({ ...header, exp: 0 }, 'crit', json)]),
    ['crit twice', withTwin({ ...header, crit: ['exp'] }, 'crit', '[]', false)],
    ['b64: true', withMember(header, 'b64', 'true')],
    ['b64: false', withMember(header, 'b64', 'false')],
    ['b64: false, critical', withMember({ ...header, crit: ['b64'] }, 'b64', 'false')],
  ];
}

/** Headers that tell where the key is: nobody may go and look. */
function pointers({ header }: Subject, { bait }: Stage): Spoiled[] {
  const urls = [
    bait.url,
    `${bait.url}#kid`,
    'file:///etc/passwd',
    '//127.0.0.1/',
    'data:application/json,{}',
  ];
  return ['jku', 'x5u'].flatMap((name) => [
    ...urls.map((url): Spoiled => [`${name}: ${url}`, JSON.stringify({ ...header, [name]: url })]),
    [`${name}: a list`, JSON.stringify({ ...header, [name]: [bait.url] })],
    [`${name} alone`, JSON.stringify({ alg: header.alg, typ: header.typ, [name]: bait.url })],
    [`${name}, critical`, JSON.stringify({ ...header, crit: [name], [name]: bait.url })],
  ]);
}

function keyIds({ header, key }: Subject, { keys, retired, bait }: Stage): Spoiled[] {
  const { kid } = header;
  const others = keys.filter((other) => other !== key).map((other) => other.kid);
  const values: unknown[] = [
    ...['../../../../dev/null', '/dev/null', '/etc/passwd', 'file:///dev/null', `./${kid}`, `..%2f${kid}`],
    ...[`${kid}' OR '1'='1`, `' UNION SELECT 'secret' --`, `${kid}'; DROP TABLE signing_keys; --`, `%`, `_`],
    ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'undefined', 'null', 'length'],
    ...[`${kid}\0`, `\0${kid}`, `${kid}\n`, ` ${kid}`, `${kid} `, `${kid}0`, kid.slice(1), kid.slice(0, -1)],
    ...[`$(id)`, '`id`', '|id', '${7*7}', '{{7*7}}', '%s%n', bait.url, `${kid}\u0000.pem`, '\ud800'],
    ...[kid.toUpperCase(), encode(kid), '0000000000000000', '', '*', '.', ...others, retired.kid],
    ...[[kid], [], { kid }, {}, null, true, false, 0, -1, 1e300, [[kid]], { toString: kid }],
    ...['k'.repeat(1024), 'k'.repeat(4096), 'k'.repeat(65_536), kid.repeat(100)],
  ];
  return [
    ...values
      .filter((value) => value !== kid)
      .map((value): Spoiled => [
        `kid: ${JSON.stringify(value).slice(0, 60)} (${JSON.stringify(value).length})`,
        JSON.stringify({ ...header, kid: value }),
      ]),
    ['no kid', withoutMember(header, 'kid')],
    ['kid twice, ours last', withTwin(header, 'kid', '"__proto__"', true)],
    ['kid twice, ours first', withTwin(header, 'kid', '"__proto__"', false)],
    ['kid twice, both ours', withTwin(header, 'kid', JSON.stringify(kid), false)],
  ];
}

/** Other members, other orders, other texts, and what is no object. */
function shapes({ header }: Subject): Spoiled[] {
  const text = JSON.stringify(header);
  const { alg, typ, kid } = header;
  const extra = {
    cty: 'JWT',
    zip: 'DEF',
    enc: 'A256GCM',
    epk: {},
    x5t: 'AA',
    'x5t#S256': 'AA',
    nonce: 'a',
    p2c: 1e9,
  };
  return [
    ...Object.entries(extra).map(([name, value]): Spoiled => [
      `header with ${name}`,
      JSON.stringify({ ...header, [name]: value }),
    ]),
    ...['alg', 'typ'].map((name): Spoiled => [`${name} twice`, withTwin(header, name, '"none"', true)]),
    ['alg twice, ours first', withTwin(header, 'alg', '"none"', false)],
    ['alg as list', JSON.stringify({ ...header, alg: [alg] })],
    ['typ as list', JSON.stringify({ ...header, typ: [typ] })],
    ['typ as null', JSON.stringify({ ...header, typ: null })],
    ['no typ', withoutMember(header, 'typ')],
    ['header with __proto__', withMember(header, '__proto__', JSON.stringify(header))],
    ['header in __proto__ alone', `{"__proto__":${text}}`],
    ['members in upper case', JSON.stringify({ ALG: alg, TYP: typ, KID: kid })],
    ['other order', JSON.stringify({ kid, typ, alg })],
    ['spaces in the header', JSON.stringify(header, null, 1)],
    ['space before the header', ` ${text}`],
    ['newline after the header', `${text}\n`],
    ['BOM before the header', `\ufeff${text}`],
    ['NUL after the header', `${text}\0`],
    ['escapes in the header', text.replace('"alg"', '"\\u0061lg"')],
    ['header in UTF-16', Buffer.from(text, 'utf16le')],
    ['header cut', text.slice(0, -1)],
    ['header twice', text + text],
    ['header as list', `[${text}]`],
    ['header as string', JSON.stringify(text)],
    ...['null', '{}', '[]', '1', '""', 'true', '', '{', '\xff', 'alg=EdDSA'].map((other): Spoiled => [
      `header ${JSON.stringify(other)}`,
      other,
    ]),
    ['bytes as header', Buffer.of(0xff, 0xfe, 0xfd)],
    ['deep header', `${'['.repeat(2000)}${']'.repeat(2000)}`],
  ];
}

/** A key of the attacker's, in the header that names it and with a signature of it that holds. */
function broughtKeys({ label, header, claims, key }: Subject, { bait }: Stage): HostileToken[] {
  const payload = JSON.stringify(claims);
  return makeKeys().flatMap((attacker) => {
    const jwk = attacker.publicJwk;
    const der = encode(JSON.stringify(jwk));
    const brings: object[] = [
      { jwk },
      { jwk: { ...jwk, kid: header.kid } },
      { x5c: [der] },
      { x5u: bait.url },
      { jku: bait.url },
      { jwk, jku: bait.url, x5u: bait.url, x5c: [der] },
      {},
    ];
    const heads = brings.flatMap((brought) => [
      { ...header, alg: attacker.algorithm, ...brought },
      { alg: attacker.algorithm, typ: header.typ, ...brought },
    ]);
    return heads.map((head, at) => ({
      name: `${label} (${key.kid}), key brought: ${attacker.algorithm} ${at} ${Object.keys(head).join()}`,
      token: sign(attacker, `${encode(JSON.stringify(head))}.${encode(payload)}`),
    }));
  });
}

function makeKeys(): (OurKey & { publicJwk: object })[] {
  const make = (algorithm: OurKey['algorithm'], pair: { publicKey: KeyObject; privateKey: KeyObject }) => ({
    kid: 'attacker',
    algorithm,
    publicKey: '',
    privateKey: pair.privateKey,
    publicJwk: pair.publicKey.export({ format: 'jwk' }),
  });
  return [
    make('EdDSA', generateKeyPairSync('ed25519')),
    make('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    make('RS256', generateKeyPairSync('rsa', { modulusLength: 1024 })),
  ];
}

/** RFC 7797: the payload as it is, and signed like that. */
function unencoded({ label, header, claims, key, genuine }: Subject): HostileToken[] {
  const head = encode(JSON.stringify({ ...header, b64: false, crit: ['b64'] }));
  const payload = JSON.stringify(claims);
  const detached = split(sign(key, `${head}.${payload}`))[2];
  return [
    {
      name: `${label}, payload not encoded`,
      token: sign(key, `${head}.${payload.replaceAll('.', '\\u002e')}`),
    },
    { name: `${label}, payload detached and not encoded`, token: `${head}..${detached}` },
    {
      name: `${label}, payload not encoded under our header`,
      token: sign(key, `${split(genuine)[0]}.${payload}`),
    },
  ];
}
