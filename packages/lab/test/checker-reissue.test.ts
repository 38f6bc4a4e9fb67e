// Rule G of the chaos checker: the successors of access tokens, and how long a token counts.
import { expect, it } from 'vitest';

import { RULES, tellStory } from './checker-story.js';

it('takes what the service does with a token from its first second to the end of its grace', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  story.introspect(ann.access, 14_000, true);
  story.introspect(ann.access, 15_000, true, story.successorOf(ann.access, 15_005));
  story.introspect(ann.access, 29_900, true, story.successorOf(ann.access, 29_905));
  story.introspect(ann.access, 34_900, false, story.successorOf(ann.access, 34_905));
  story.introspect(ann.access, 35_010, false);
  expect(story.violations()).toEqual([]);
  expect(story.check().counts.applied.G).toBeGreaterThan(3);
});

it('finds a successor before it is due, and takes it where it may be', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const successor = story.successorOf(ann.access, 15_000);
  story.introspect(ann.access, [14_980, 14_998], true, successor);
  const wrong = story.introspect(ann.access, [14_980, 14_997], true, successor);
  expect(story.violations()).toEqual([`G${wrong.id}`]);
});

it('finds a successor past the grace, and takes it where it may be within', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const successor = story.successorOf(ann.access, 34_999);
  story.introspect(ann.access, [35_002, 35_010], false, successor);
  const wrong = story.introspect(ann.access, [35_003, 35_010], false, successor);
  expect(story.violations()).toEqual([`G${wrong.id}`]);
});

it('finds a token accepted past its exp, and takes it where it may be before', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const successor = story.successorOf(ann.access, 30_000);
  story.introspect(ann.access, [30_002, 30_010], true, successor);
  const wrong = story.introspect(ann.access, [30_003, 30_010], true, successor);
  expect(story.violations()).toEqual([`G${wrong.id}`]);
});

it('finds a successor with claims of its own', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const { claims } = story.successorOf(ann.access, 16_000);
  const later = Number(claims['iat']) + 1;
  for (const change of [
    { iat: later },
    { exp: later },
    { scope: 'admin' },
    { jti: `${ann.access.lineage}.2` },
  ]) {
    const wrong = story.introspect(
      ann.access,
      16_000,
      true,
      story.tokenOf({ ...claims, ...change }, 'at+jwt'),
    );
    expect(story.violations()).toContain(`G${wrong.id}`);
  }
});

it('finds a reissue past REISSUE_MAX', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const last = { ...ann.access.claims, jti: `${ann.access.lineage}.${RULES.reissueMax}` };
  const parent = story.tokenOf(last, 'at+jwt');
  const next = { ...last, jti: `${ann.access.lineage}.${RULES.reissueMax + 1}` };
  const exp = Number(ann.access.claims['exp']);
  const successor = story.tokenOf({ ...next, iat: exp - 15, exp: exp + 15 }, 'at+jwt');
  const wrong = story.introspect(parent, 16_000, true, successor);
  expect(story.violations()).toEqual([`G${wrong.id}`]);
});

it('finds a token that was due and came back without a successor', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  story.introspect(ann.access, [15_002, 15_010], true);
  const wrong = story.ask('session', [15_003, 15_010], { token: ann.access.id, reissued: null });
  expect(story.violations()).toEqual([`G${wrong.id}`]);
});

it('finds a token in its grace that stands and earns nothing, unless it may have ended', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const wrong = story.introspect(ann.access, 31_000, false);
  story.ask('logout', [31_995, 32_500], { token: ann.access.id, outcome: 'unknown' });
  story.refuse('session', ann.access, 32_000);
  expect(story.violations()).toEqual([`G${wrong.id}`]);
});

it.each([
  ['access', { exp: 1 }],
  ['access', { iat: -2, exp: -2 }],
  ['access', { session_exp: 1 }],
  ['access', { exp: 40 }],
  ['refresh', { exp: 1 }],
  ['refresh', { iat: 1, exp: 1 }],
  ['refresh', { auth_time: 1 }],
] as const)('finds an %s token minted with other times: %j', (kind, shifts) => {
  const story = tellStory();
  const ann = story.logIn(100);
  const { claims } = ann[kind];
  const changed: Record<string, number> = {};
  for (const [name, by] of Object.entries(shifts)) changed[name] = Number(claims[name]) + by;
  const token = story.tokenOf({ ...claims, ...changed }, kind === 'access' ? 'at+jwt' : 'rt+jwt');
  ann.operation[kind] = token.id;
  expect(story.violations()).toEqual([`G${ann.operation.id}`]);
});

it('finds a refresh token taken for an access token, and one taken for what it is', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  story.introspect(ann.refresh, 200, false);
  const wrong = story.introspect(ann.refresh, 200, true);
  expect(story.violations()).toEqual([`G${wrong.id}`]);
});

it('finds a session listed past its end', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const later = story.logIn(59_000);
  story.ask('list', [59_995, 60_002], { token: later.access.id, sids: [ann.sid, later.sid] });
  const wrong = story.ask('list', [60_003, 60_009], { token: later.access.id, sids: [ann.sid, later.sid] });
  expect(story.violations()).toEqual([`G${wrong.id}`]);
});
