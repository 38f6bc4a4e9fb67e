// Tokens of a backend's session under our own header and signed by our own key, with words that no backend may use.
import { withMember, withoutMember, withTwin, type HostileToken, type Spoiled } from './hostile-token.js';
import type { Place } from './places.js';
import type { Stage, Subject } from './stage.js';

export function backendTokens({ foreign }: Stage): HostileToken[] {
  return foreign.flatMap((subject) =>
    (subject.kind === 'access' ? ofAccess(subject) : ofRefresh(subject)).map(([how, payload, except]) => ({
      name: `${subject.label} of a backend, ${how}`,
      token: subject.forge(JSON.stringify(subject.header), payload),
      ...(except === undefined ? {} : { except }),
    })),
  );
}

type Spoilt = readonly [...Spoiled, except?: readonly Place[]];

/** Only what ends a session takes one of nobody: it could have been ours once. */
const ENDING = {
  access: ['/logout', '/revoke'],
  refresh: ['/logout body', '/revoke'],
} as const satisfies Record<string, readonly Place[]>;

function setter({ claims }: Subject) {
  return (name: string, json: string): Spoilt => [
    `${name}: ${json.slice(0, 60)} (${json.length})`,
    withMember(claims, name, json),
  ];
}

/** Whose it is: no other spelling, no other client's user, and nobody who was made here. */
function parties(subject: Subject): Spoilt[] {
  const { claims, kind } = subject;
  const set = setter(subject);
  const sub = String(claims['sub']);
  const clientId = String(claims['client_id']);
  const ofNobody = (name: string, value: string): Spoilt => [
    ...(set(name, JSON.stringify(value)).slice(0, 2) as [string, string]),
    ENDING[kind],
  ];
  const malformed = [
    ...['', ' ', `${sub} `, ` ${sub}`, `${sub}\0`, `${sub}\n`, 'żółw', 'a b', 'client:a', 'gatehouse:a'],
    'x'.repeat(256),
  ].map((value) => set('sub', JSON.stringify(value)));
  const others = [sub.toUpperCase(), `${sub}0`, sub.slice(1), '__proto__', 'null'].map((value) =>
    ofNobody('sub', value),
  );
  const clients = ['', ' ', 'a b', `${clientId} `, `${clientId}\0`, '-a', 'x'.repeat(101), 'żółw'].map(
    (value) => set('client_id', JSON.stringify(value)),
  );
  const otherClients = ['another', clientId.toUpperCase(), `${clientId}0`].map((value) =>
    ofNobody('client_id', value),
  );
  return [
    ...'null true 7 [] {} ["a"] {"a":1}'
      .split(' ')
      .flatMap((json) => [set('sub', json), set('client_id', json)]),
    ...malformed,
    ...others,
    ...clients,
    ...otherClients,
    // Then `sub` is a UUID.
    set('client_id', '"gatehouse"'),
    ['no client_id', withoutMember(claims, 'client_id')],
    ['client_id twice', withTwin(claims, 'client_id', '"another"', true)],
  ];
}

function ofRefresh(subject: Subject): Spoilt[] {
  const set = setter(subject);
  return [
    ...parties(subject),
    set('ext', '{"a":1}'),
    set('amr', '["pwd"]'),
    set('act', '{"sub":"root"}'),
    set('username', '"root"'),
    set('aud', '"gatehouse"'),
    set('aud', JSON.stringify([subject.claims['aud'], 'gatehouse'])),
  ];
}

function ofAccess(subject: Subject): Spoilt[] {
  const { claims } = subject;
  const set = setter(subject);
  const extension = (json: string) => set('ext', json);
  const deep = (levels: number) => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);
  return [
    ...parties(subject),
    ...['null', 'true', '7', '[]', '"x"', '["a"]', '[null]'].map(extension),
    ...['__proto__', 'constructor', 'prototype', '1', '', 'a b', 'a\\u0000', 'ż', 'x'.repeat(65)].map(
      (name) => extension(`{"${name}":1}`),
    ),
    ...['__proto__', 'constructor', '0'].map((name) => extension(`{"a":[{"${name}":1}]}`)),
    ...['1e999', '-1e999', '9007199254740992', '-9007199254740992', '1e21', '1.0', '1e0', '-0', 'NaN'].map(
      (number) => extension(`{"a":${number}}`),
    ),
    ...['"\\ud800"', '"a\\udc00b"', '{"a":1,"a":2}', '"\\u0061"'].map((json) => extension(`{"a":${json}}`)),
    extension('{"a":1,"a":1}'),
    extension(deep(6)),
    extension(`{"a":${'['.repeat(5)}1${']'.repeat(5)}}`),
    extension(`{"a":"${'x'.repeat(1024)}"}`),
    extension(`{ "a": 1 }`),
    ['ext twice', withTwin(claims, 'ext', '{"plan":"gold"}', true)],
    ...['null', '"pwd"', '[]', '[""]', '["a b"]', '["a","a"]', '[7]', '{}', '[["pwd"]]'].map((json) =>
      set('amr', json),
    ),
    ...['null', '""', '7', '[]', '"a b"', '"\\u0000"', '"ż"'].map((json) => set('acr', json)),
    ...['null', '"root"', '{}', '[]', '{"sub":7}', '{"sub":""}', '{"sub":"a b"}', '{"sub":"a","exp":1}'].map(
      (json) => set('act', json),
    ),
    set('act', '{"sub":"a","act":{}}'),
    set('act', `${'{"sub":"a","act":'.repeat(5)}{"sub":"a"}${'}'.repeat(5)}`),
    ...[
      'null',
      '[]',
      '{}',
      '7',
      '""',
      '["a"]',
      '["a","a"]',
      '["a",7]',
      '["a",null]',
      '["a",["b"]]',
      '"a b"',
    ].map((json) => set('aud', json)),
    set('aud', JSON.stringify(['a', 'b', 'c', 'd', 'e', 'f'])),
    ...['0', '-1', '0.5', '"1"', 'null', '1e21'].map((json) => set('ver', json)),
    ...['null', '[]', '7', '"\\ud800"'].map((json) => set('username', json)),
    ...['null', '""', '"a  b"', '["a"]'].map((json) => set('scope', json)),
    ...['nbf', 'cnf', 'roles', 'permissions', 'active', 'access_token_ttl', 'EXT'].map((name) =>
      set(name, '1'),
    ),
  ];
}
