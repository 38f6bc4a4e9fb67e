// The reader of challenges reads what RFC 9110 and its neighbours show, and refuses what is close to it.
import { expect, it } from 'vitest';

import { parseChallenges } from './challenge.js';

it.each([
  ['Bearer', [{ scheme: 'Bearer', token68: null, parameters: {} }]],
  ['Negotiate a87421000492aa==', [{ scheme: 'Negotiate', token68: 'a87421000492aa==', parameters: {} }]],
  // RFC 6750 section 3.
  [
    'Bearer realm="example", error="invalid_token", error_description="The access token expired"',
    [
      {
        scheme: 'Bearer',
        token68: null,
        parameters: {
          realm: 'example',
          error: 'invalid_token',
          error_description: 'The access token expired',
        },
      },
    ],
  ],
  // RFC 9110 section 11.6.1.
  [
    'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
    [
      { scheme: 'Basic', token68: null, parameters: { realm: 'simple' } },
      {
        scheme: 'Newauth',
        token68: null,
        parameters: { realm: 'apps', type: '1', title: 'Login to "apps"' },
      },
    ],
  ],
])('reads %s', (text, challenges) => {
  expect(parseChallenges(text)).toEqual(challenges);
});

it.each([
  '',
  ' Bearer',
  'Bearer ',
  'Bearer realm="a',
  'Bearer realm="a"b"',
  'Bearer realm="a" error="b"',
  'Bearer realm="a",',
  'Bearer realm="a",, error="b"',
  'Bearer realm = "a"',
  'Bearer realm="a", realm="b"',
  'Bearer realm="a", Realm="b"',
  'Bearer realm="é"',
  'Bearer realm="a\nb"',
  'Bearer realm=a b',
  'Bearer: realm="a"',
  'Bearer\trealm="a"',
  ',Bearer',
])('refuses %j', (text) => {
  expect(() => parseChallenges(text)).toThrow(SyntaxError);
});
