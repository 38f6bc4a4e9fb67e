// Many who refresh with one token at the same time: one successor for all of them.
import { afterAll, beforeAll, expect, it } from 'vitest';

import { claimsOf, login, refresh, type TokenPair } from '../../support/house.js';
import { openTwins, stateOf, type Twins } from '../../support/twins.js';

const PARALLEL = 50;
const ROUNDS = 6;

let twins: Twins;

beforeAll(async () => {
  twins = await openTwins();
  await twins.house.database.clock.release();
});
afterAll(() => twins.house.close());

function refreshManyTimes(token: string): Promise<{ statusCode: number; pair: TokenPair }[]> {
  return Promise.all(
    Array.from({ length: PARALLEL }, async (_, place) => {
      const response = await refresh(place % 2 === 0 ? twins.one : twins.two, token);
      return { statusCode: response.statusCode, pair: response.json<TokenPair>() };
    }),
  );
}

it('gives 50 parallel refreshes on two replicas one successor, link after link of a chain', async () => {
  const first = await login(twins.one, await twins.house.user());
  let current = first.refresh_token;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const answers = await refreshManyTimes(current);

    expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array<number>(PARALLEL).fill(200));
    const successors = [...new Set(answers.map(({ pair }) => pair.refresh_token))];
    expect(successors).toHaveLength(1);
    current = successors[0] ?? '';
    expect(claimsOf(current).jti).toBe(`${first.session_id}.${round}`);
    const lineages = new Set(answers.map(({ pair }) => claimsOf(pair.access_token).jti));
    expect(lineages.size).toBe(PARALLEL);
    const states = await Promise.all(answers.map(({ pair }) => stateOf(twins, pair.access_token)));
    expect(states).toEqual(Array<string>(PARALLEL).fill('alive'));
  }
});

it('rotates once when a tab that lags behind refreshes with the parent while another goes on', async () => {
  const parent = await login(twins.one, await twins.house.user());
  const current = (await refresh(twins.one, parent.refresh_token)).json<TokenPair>();
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, place) =>
      place % 2 === 0 ? refresh(twins.one, current.refresh_token) : refresh(twins.two, parent.refresh_token),
    ),
  );
  // The parent earns `current` before the rotation and is superseded after it. Nobody is taken for a thief.
  for (const [place, answer] of answers.entries()) {
    const { error } = answer.json<{ error?: string }>();
    if (place % 2 === 0) expect(answer.statusCode).toBe(200);
    else expect([undefined, 'refresh_superseded']).toContain(error);
  }
  expect(await stateOf(twins, current.access_token)).toBe('alive');
});
