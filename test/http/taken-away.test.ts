// A scope or a claim that was taken away is in no answer of any replica once the change was answered, for each caller and each token.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { userIdOf } from '../../src/domain/tokens/subjects.js';
import {
  basic,
  bearer,
  claimsOf,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';

/** Stands in each value that is taken away, and in nothing else. */
const TAKEN = 'taken-away';
const LIFE_SECONDS = 600;
/** Of such a token the successor is due from then on. */
const WINDOW_AT = LIFE_SECONDS - 120;

let house: House;
let replicas: [Replica, Replica];
let server: TestClient;
let operator: TestClient;
let backend: TestClient;

beforeAll(async () => {
  house = await openHouse();
  const config = { gatewayExt: true, accessTtlSeconds: LIFE_SECONDS };
  replicas = [await house.replica({ config }), await house.replica({ config })];
  server = await house.client();
  backend = await house.client(['sessions:open']);
  operator = await house.client(['users:read', 'users:write', 'sessions:read', 'events:read']);
});
afterAll(() => house.close());

/** All that an answer says, also within tokens and within what is encoded. */
function saidBy({ headers, body }: LightMyRequestResponse): string {
  const text = [body, ...Object.values(headers).map(String)].join('\n');
  const encoded = [...text.matchAll(/ey[\w-]+/g)].map(([part]) => Buffer.from(part, 'base64url').toString());
  return [text, ...encoded].join('\n');
}

/** What both replicas answer with these tokens, and to operators who ask about the user. */
async function allSaid(tokens: string[], { sid, ...claims }: ReturnType<typeof claimsOf>): Promise<string> {
  const answers = replicas.flatMap((replica) => [
    ...tokens.flatMap((token) => [
      introspect(replica, server, token),
      ...['/session', '/session/orders/7', '/session?max_age=86400', '/sessions'].map((url) =>
        replica.app.inject({ url, headers: bearer(token) }),
      ),
    ]),
    replica.app.inject({
      method: 'POST',
      url: '/introspect/batch',
      headers: basic(server),
      payload: { tokens },
    }),
    ...[
      `sessions/${sid}`,
      `users/${userIdOf(claims)}`,
      `users/${userIdOf(claims)}/export`,
      `events?user_id=${userIdOf(claims)}`,
    ].map((path) => replica.app.inject({ url: `/admin/${path}`, headers: basic(operator) })),
  ]);
  return (await Promise.all(answers)).map(saidBy).join('\n');
}

const CHANGES: Record<
  string,
  { open: () => Promise<TokenPair>; take: (pair: TokenPair) => Promise<number> }
> = {
  'the scope and the claims of a session, by its backend': {
    open: async () => {
      const answer = await replicas[0].app.inject({
        method: 'POST',
        url: '/sessions',
        headers: basic(backend),
        payload: {
          external_id: 'customer-1',
          scope: `kept ${TAKEN}:scope`,
          ext: { kept: true, role: `${TAKEN}:ext` },
          amr: [`${TAKEN}:amr`],
          acr: `${TAKEN}:acr`,
        },
      });
      expect(answer.statusCode).toBe(201);
      return answer.json();
    },
    take: async ({ session_id: id }) =>
      (
        await replicas[0].app.inject({
          method: 'PATCH',
          url: `/sessions/${id}`,
          headers: basic(backend),
          payload: { scope: 'kept', ext: { role: null }, amr: null, acr: null },
        })
      ).statusCode,
  },
  'the scope and the name of a user, by an operator': {
    open: async () =>
      await login(replicas[0], await house.user({ username: `${TAKEN}-name`, scope: `kept ${TAKEN}:scope` })),
    take: async ({ access_token: token }) =>
      (
        await replicas[0].app.inject({
          method: 'PATCH',
          url: `/admin/users/${claimsOf(token).sub}`,
          headers: basic(operator),
          payload: { scope: 'kept', username: 'ada' },
        })
      ).statusCode,
  },
};

describe.each(Object.entries(CHANGES))('%s', (_what, { open, take }) => {
  it('are in no answer after the change, before they were in those that show them', async () => {
    const pair = await open();
    const claims = claimsOf(pair.access_token);
    await house.database.clock.advance(WINDOW_AT + 1);
    const due = await introspect(replicas[1], server, pair.access_token);
    const successor = String(due.headers['refreshed-api-token']);
    expect(JSON.stringify(claimsOf(successor))).toContain(TAKEN);
    const old = [pair.access_token, successor];
    expect(await allSaid(old, claims)).toContain(TAKEN);

    expect(await take(pair)).toBe(200);
    expect(await allSaid(old, claims)).not.toContain(TAKEN);

    const refreshed = await refresh(replicas[1], pair.refresh_token);
    expect(saidBy(refreshed)).not.toContain(TAKEN);
    const next = refreshed.json<TokenPair>().access_token;
    expect(await allSaid([...old, next], claims)).toContain('kept');
    // In the window of the new token, and then in the grace of the old successor.
    for (const seconds of [WINDOW_AT + 1, 130]) {
      await house.database.clock.advance(seconds);
      expect(await allSaid([...old, next], claims)).not.toContain(TAKEN);
    }
  });
});
