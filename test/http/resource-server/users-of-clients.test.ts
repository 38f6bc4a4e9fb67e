// Tokens of users whom a client has brought: what they say beside others, and for whom they are.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import {
  createIntrospector,
  Refusal,
  type GatehouseOptions,
  type Introspector,
} from '../../../packages/resource-server/src/introspector.js';
import { basic, bearer, claimsOf, type TestClient, type TokenPair } from '../../support/house.js';
import { openStage, type Stage } from './stage.js';

let stage: Stage;
let shop: TestClient;

beforeAll(async () => {
  stage = await openStage();
  shop = await stage.house.client(['sessions:open']);
  await stage.replica.database.query(
    {},
  )`UPDATE clients SET audiences = ARRAY['mail', 'files', 'chat'] WHERE id = ${shop.id}`;
  await stage.replica.database.query({})`UPDATE service SET clients_version = gen_random_uuid()`;
});
afterAll(() => stage.close());

function open(options: Partial<GatehouseOptions> = {}): Introspector {
  const introspect = createIntrospector({ ...stage.options, ...options });
  onTestFinished(introspect.close);
  return introspect;
}

const SAID = {
  ext: { plan: 'gold', limits: { 'per-day': 3 }, tags: ['a', null] },
  amr: ['pwd', 'otp'],
  acr: 'silver',
  act: { sub: 'support-7', act: { sub: 'robot', iss: 'https://robots.example' } },
};

async function openSession(more: object): Promise<string> {
  const answer = await stage.replica.app.inject({
    method: 'POST',
    url: '/sessions',
    headers: basic(shop),
    payload: { external_id: 'customer-7', ...more },
  });
  if (answer.statusCode !== 201) throw new Error(`${answer.statusCode} ${answer.body}`);
  return answer.json<TokenPair>().access_token;
}

describe.each([0, 10])('with a cache of %i s', (cacheSeconds) => {
  it('what the client says of the session is told as it is, and nobody can change it for the next one', async () => {
    const token = await openSession({ audience: ['mail', 'files'], ...SAID });
    const introspect = open({ cacheSeconds });
    for (const turn of ['first', 'second']) {
      const { user } = await introspect(bearer(token).authorization);
      expect(user, turn).toEqual(claimsOf(token));
      expect(user, turn).toMatchObject({
        sub: 'customer-7',
        client_id: shop.id,
        aud: ['mail', 'files'],
        ...SAID,
      });
      expect(() => (user.aud as string[]).push('chat')).toThrow(TypeError);
      expect(() => user.amr?.pop()).toThrow(TypeError);
      expect(() => Object.assign(user.ext?.['limits'] as object, { 'per-day': 9 })).toThrow(TypeError);
      expect(() => Object.assign(user.act?.act as object, { sub: 'root' })).toThrow(TypeError);
    }
  });
});

describe('the option audience', () => {
  it.each<[string, string[], string, boolean]>([
    ['the one audience', ['mail'], 'mail', true],
    ['the first of two', ['mail', 'files'], 'mail', true],
    ['the last of two', ['files', 'mail'], 'mail', true],
    ['another one', ['files'], 'mail', false],
    ['neither of two', ['files', 'chat'], 'mail', false],
    ['a part of the name', ['mail'], 'mai', false],
    ['two names in one', ['mail', 'files'], 'mail,files', false],
  ])('judges a token by %s', async (_which, audience, option, isGood) => {
    const token = await openSession({ audience });
    const introspect = open({ audience: option });
    const refusal: unknown = await introspect(bearer(token).authorization).then(
      () => null,
      (error: unknown) => error,
    );
    // Without the option it is good everywhere.
    expect((await open()(bearer(token).authorization)).user.aud).toEqual(claimsOf(token).aud);
    if (isGood) {
      expect(refusal).toBeNull();
      return;
    }
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal).toMatchObject({ status: 401, error: 'invalid_token' });
    expect((refusal as Refusal).headers['www-authenticate']).toContain('error="invalid_token"');
    expect(((refusal as Refusal).cause as Error).message).toContain('does not hold the option `audience`');
  });
});
