// Claims at every boundary second (contract sections 1 and 2).
import { windowSeconds } from '@gatehouse/protocol';
import { describe, expect, it } from 'vitest';

import {
  isAccessClaims,
  isRefreshClaims,
  parseJti,
  type AccessClaims,
  type RefreshClaims,
  type Session,
  type TokenRules,
} from '../../../src/domain/tokens/claims.js';
import { mintAccess, mintRefresh } from '../../../src/domain/tokens/minting.js';
import { isExpired, isNearEnd, reissue } from '../../../src/domain/tokens/successor.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const SID = '019a0000-0000-7000-8000-00000000000a';
const LINEAGE = '019a0000-0000-7000-8000-00000000000b';
const SUB = '019a0000-0000-7000-8000-00000000000c';
const START = 1_700_000_000;
const DAY = 86_400;

/** The defaults of contract section 6. */
const rules: TokenRules = {
  issuer: 'https://login.example.com',
  audience: 'gatehouse',
  accessTtlSeconds: 600,
  reissueGraceSeconds: 60,
  reissueMax: 90,
};

const session: Session = {
  id: SID,
  userId: SUB,
  username: 'ada',
  scope: 'read write',
  clientId: null,
  externalId: null,
  claims: null,
  ver: 0,
  generation: 3,
  openedAt: START,
  rotatedAt: START + 1000.25,
  refreshExpiresAt: START + 1000 + 14 * DAY,
  expiresAt: START + 90 * DAY,
  now: START + 1000.75,
};

function accessToken(times: { life: number; sessionExp?: number; generation?: number }): AccessClaims {
  const { life, sessionExp = 90 * DAY, generation = 0 } = times;
  return {
    iss: rules.issuer,
    sub: SUB,
    aud: rules.audience,
    client_id: 'gatehouse',
    username: 'ada',
    scope: 'read write',
    sid: SID,
    jti: `${LINEAGE}.${generation}`,
    iat: START,
    exp: START + life,
    auth_time: START - 5,
    session_exp: START + sessionExp,
  };
}

function withoutScope({ scope, ...claims }: AccessClaims): AccessClaims {
  expect(scope).toBeDefined();
  return claims;
}

function refreshToken(): RefreshClaims {
  return mintRefresh(session, rules);
}

describe('an access token', () => {
  it('claims what contract section 1 lists, and nothing else', () => {
    const claims = mintAccess(session, rules);
    expect(claims).toEqual({
      iss: 'https://login.example.com',
      sub: SUB,
      aud: 'gatehouse',
      client_id: 'gatehouse',
      username: 'ada',
      scope: 'read write',
      sid: SID,
      jti: expect.stringMatching(/\.0$/) as string,
      iat: START + 1000,
      exp: START + 1600,
      auth_time: START,
      session_exp: START + 90 * DAY,
    });
    expect(parseJti(claims.jti).lineage).toMatch(UUID);
  });

  it('has no scope when that is empty', () => {
    expect(mintAccess({ ...session, scope: '' }, rules)).not.toHaveProperty('scope');
    expect(mintAccess(session, rules)).not.toHaveProperty('ver');
    expect(mintAccess({ ...session, ver: 2 }, rules)).toHaveProperty('ver', 2);
  });

  it('begins a lineage of its own each time', () => {
    expect(mintAccess(session, rules).jti).not.toBe(mintAccess(session, rules).jti);
  });

  it('does not outlive its session', () => {
    const claims = mintAccess({ ...session, expiresAt: START + 1001 }, rules);
    expect(claims).toMatchObject({ iat: START + 1000, exp: START + 1001, session_exp: START + 1001 });
    expect(isAccessClaims(claims, rules)).toBe(true);
  });
});

describe('a refresh token', () => {
  it('claims what contract section 1 lists, and nothing else', () => {
    expect(mintRefresh(session, rules)).toEqual({
      iss: 'https://login.example.com',
      sub: SUB,
      aud: 'https://login.example.com',
      sid: SID,
      jti: `${SID}.3`,
      iat: START + 1000,
      exp: START + 1000 + 14 * DAY,
      auth_time: START,
      session_exp: START + 90 * DAY,
    });
  });

  it('is the same whenever it is asked for', () => {
    expect(mintRefresh({ ...session, now: session.now + 29 }, rules)).toEqual(mintRefresh(session, rules));
  });
});

describe('the window before the end', () => {
  it.each([
    [1, 0],
    [2, 1],
    [30, 15],
    [35, 17],
    [59, 29],
    [60, 30],
    [62, 30],
    [150, 30],
    [154, 30],
    [155, 31],
    [600, 120],
    [DAY, 17_280],
  ])('of a life of %i s is %i s', (life, seconds) => {
    expect(windowSeconds({ iat: START, exp: START + life })).toBe(seconds);
  });

  it('opens at its first instant and is judged by the claims alone', () => {
    const claims = accessToken({ life: 600 });
    expect(isNearEnd(claims, START + 479.999)).toBe(false);
    expect(isNearEnd(claims, START + 480)).toBe(true);
    expect(reissue(claims, START + 480, { ...rules, accessTtlSeconds: 30 })).toMatchObject({
      exp: START + 1080,
    });
  });
});

it('is expired at `exp`, and not before', () => {
  const claims = accessToken({ life: 600 });
  expect(isExpired(claims, START + 599.999_999)).toBe(false);
  expect(isExpired(claims, START + 600)).toBe(true);
  expect(isExpired(claims, START + 600.000_001)).toBe(true);
});

/** When a token of that life is asked about, in seconds after its `iat`, and the successor's generation, iat and exp. */
const MOMENTS: [
  life: number,
  now: number,
  successor: [generation: number, iat: number, exp: number] | null,
][] = [
  // A life of 30 s ends while its grace of 60 s goes on: each successor that nears its own end gives way.
  [30, 14, null],
  [30, 14.999_999, null],
  [30, 15, [1, 15, 45]],
  [30, 29, [1, 15, 45]],
  [30, 29.999_999, [1, 15, 45]],
  [30, 30, [2, 30, 60]],
  [30, 44.999_999, [2, 30, 60]],
  [30, 45, [3, 45, 75]],
  [30, 60, [4, 60, 90]],
  [30, 75, [5, 75, 105]],
  [30, 89, [5, 75, 105]],
  [30, 89.999_999, [5, 75, 105]],
  [30, 90, null],
  [35, 17, null],
  [35, 17.999_999, null],
  [35, 18, [1, 18, 53]],
  [35, 34, [1, 18, 53]],
  [35, 35, [1, 18, 53]],
  [35, 36, [2, 36, 71]],
  [35, 94, [5, 90, 125]],
  [35, 94.999_999, [5, 90, 125]],
  [35, 95, null],
  [62, 31, null],
  [62, 31.999_999, null],
  [62, 32, [1, 32, 94]],
  [62, 61, [1, 32, 94]],
  [62, 62, [1, 32, 94]],
  [62, 64, [2, 64, 126]],
  [62, 121, [3, 96, 158]],
  [62, 122, null],
  [600, 479, null],
  [600, 479.999_999, null],
  [600, 480, [1, 480, 1080]],
  [600, 599, [1, 480, 1080]],
  [600, 600, [1, 480, 1080]],
  [600, 659, [1, 480, 1080]],
  [600, 659.999_999, [1, 480, 1080]],
  [600, 660, null],
  [DAY, 69_119, null],
  [DAY, 69_120, [1, 69_120, 155_520]],
  [DAY, DAY - 1, [1, 69_120, 155_520]],
  [DAY, DAY, [1, 69_120, 155_520]],
  [DAY, DAY + 59, [1, 69_120, 155_520]],
  [DAY, DAY + 60, null],
];

function successorOf(parent: AccessClaims, [generation, iat, exp]: [number, number, number]): AccessClaims {
  return { ...parent, jti: `${LINEAGE}.${generation}`, iat: START + iat, exp: START + exp };
}

describe('reissue', () => {
  it.each(MOMENTS)('of a life of %i s, asked after %d s, gives %j', (life, now, successor) => {
    const parent = accessToken({ life });
    expect(reissue(parent, START + now, rules)).toEqual(
      successor === null ? null : successorOf(parent, successor),
    );
  });

  it('leaves its parent as it was', () => {
    const parent = Object.freeze(accessToken({ life: 600 }));
    expect(reissue(parent, START + 500, rules)).not.toBeNull();
    expect(parent).toEqual(accessToken({ life: 600 }));
  });

  it('keeps a token without scope without scope', () => {
    const parent = withoutScope(accessToken({ life: 600 }));
    expect(reissue(parent, START + 500, rules)).not.toHaveProperty('scope');
    expect(reissue({ ...parent, ver: 7 }, START + 500, rules)).toHaveProperty('ver', 7);
  });
});

describe('reissue near the end of the session', () => {
  it('gives nothing when no successor can live longer', () => {
    const parent = accessToken({ life: 600, sessionExp: 600 });
    for (const now of [480, 599, 600, 659]) expect(reissue(parent, START + now, rules)).toBeNull();
  });

  it('gives a successor that lives a second longer, if that is what is left', () => {
    const parent = accessToken({ life: 600, sessionExp: 601 });
    const last = successorOf(parent, [1, 480, 601]);
    for (const now of [480, 599, 600, 600.999_999]) {
      expect(reissue(parent, START + now, rules)).toEqual(last);
    }
    expect(reissue(parent, START + 601, rules)).toBeNull();
  });

  it('keeps to a successor near its own end when that has none', () => {
    const parent = accessToken({ life: 600, sessionExp: 700 });
    const last = successorOf(parent, [1, 480, 700]);
    expect(isNearEnd(last, START + 656)).toBe(true);
    expect(reissue(parent, START + 659, rules)).toEqual(last);
    expect(reissue(last, START + 699, rules)).toBeNull();
  });

  it('ends at session_exp, though the grace goes on', () => {
    const parent = accessToken({ life: 30, sessionExp: 50 });
    expect(reissue(parent, START + 30, rules)).toEqual(successorOf(parent, [2, 30, 50]));
    expect(reissue(parent, START + 49.999_999, rules)).toEqual(successorOf(parent, [2, 30, 50]));
    expect(reissue(parent, START + 50, rules)).toBeNull();
  });
});

describe('REISSUE_MAX', () => {
  it('is the last generation there is', () => {
    const [before, last] = [89, 90].map((generation) => accessToken({ life: 600, generation }));
    expect(before && reissue(before, START + 480, rules)?.jti).toBe(`${LINEAGE}.90`);
    expect(last && reissue(last, START + 480, rules)).toBeNull();
    expect(last && reissue(last, START + 600, rules)).toBeNull();
  });

  it('holds for successors that would give way to their own', () => {
    const parent = accessToken({ life: 30, generation: 89 });
    for (const now of [15, 30, 44.999_999]) {
      expect(reissue(parent, START + now, rules)).toEqual(successorOf(parent, [90, 15, 45]));
    }
    expect(reissue(parent, START + 45, rules)).toBeNull();
  });

  it('of 0 switches reissue off', () => {
    const parent = accessToken({ life: 600 });
    for (const now of [480, 599, 600]) {
      expect(reissue(parent, START + now, { ...rules, reissueMax: 0 })).toBeNull();
    }
  });

  it('below the generation of a token, as after a change of configuration, gives nothing', () => {
    const parent = accessToken({ life: 600, generation: 7 });
    expect(reissue(parent, START + 480, { ...rules, reissueMax: 5 })).toBeNull();
  });

  it('lets a client that asks in time go on for 12 hours at the defaults, then only /refresh helps', () => {
    let held = accessToken({ life: 600 });
    for (let generation = 1; generation <= 90; generation += 1) {
      const next = reissue(held, held.exp - 120, rules);
      expect(next?.jti).toBe(`${LINEAGE}.${generation}`);
      if (next !== null) held = next;
    }
    expect(held.iat - START).toBe(12 * 3600);
    for (const now of [held.exp - 120, held.exp - 1, held.exp, held.exp + 59]) {
      expect(reissue(held, now, rules)).toBeNull();
    }
  });
});

describe('REISSUE_GRACE', () => {
  it('of 0 leaves the window before the end', () => {
    const parent = accessToken({ life: 600 });
    const strict = { ...rules, reissueGraceSeconds: 0 };
    expect(reissue(parent, START + 599.999_999, strict)?.jti).toBe(`${LINEAGE}.1`);
    expect(reissue(parent, START + 600, strict)).toBeNull();
  });

  it('of five minutes ends after five minutes', () => {
    const parent = accessToken({ life: 600 });
    const generous = { ...rules, reissueGraceSeconds: 300 };
    expect(reissue(parent, START + 899.999_999, generous)?.jti).toBe(`${LINEAGE}.1`);
    expect(reissue(parent, START + 900, generous)).toBeNull();
  });

  it('counts from the end of the token that is shown, not from that of its successors', () => {
    const parent = accessToken({ life: 30 });
    const successor = reissue(parent, START + 15, rules);
    expect(reissue(parent, START + 90, rules)).toBeNull();
    expect(successor && reissue(successor, START + 90, rules)?.jti).toBe(`${LINEAGE}.6`);
  });
});

const NO_STRING = [undefined, null, 7, true, {}, ['x']];
const NO_UUID = [
  ...NO_STRING,
  '',
  'ada',
  SID.toUpperCase(),
  `${SID}\n`,
  ` ${SID}`,
  SID.replaceAll('-', ''),
  [SID],
];
const NO_DATE = [undefined, null, '1700000000', -1, 1.5, NaN, Infinity, 2 ** 53, [START], {}, true];
const NO_JTI = [
  ...NO_STRING,
  '',
  '.',
  '.0',
  LINEAGE,
  `${LINEAGE}.`,
  `${LINEAGE}.0.0`,
  `${LINEAGE}..0`,
  `${LINEAGE}.00`,
  `${LINEAGE}.01`,
  `${LINEAGE}.-1`,
  `${LINEAGE}.+1`,
  `${LINEAGE}.1.5`,
  `${LINEAGE}.1e3`,
  `${LINEAGE}.0x1`,
  `${LINEAGE}. 1`,
  `${LINEAGE}.1 `,
  `${LINEAGE}.1\n`,
  `${LINEAGE}.\u0661`,
  `${LINEAGE}.${2 ** 31}`,
  `${LINEAGE}.${2 ** 53}`,
  `${LINEAGE.toUpperCase()}.0`,
  `x${LINEAGE}.0`,
  [`${LINEAGE}.0`],
];

/** For each claim that both kinds have, what it must not be. */
const BAD_CLAIMS: [claim: string, values: unknown[]][] = [
  ['iss', [...NO_STRING, '', `${rules.issuer}/`, 'https://other.example.com', [rules.issuer]]],
  ['sub', NO_UUID],
  ['sid', NO_UUID],
  ['jti', NO_JTI],
  ['iat', NO_DATE],
  ['exp', NO_DATE],
  ['auth_time', NO_DATE],
  ['session_exp', NO_DATE],
];

const NO_PAYLOADS = [undefined, null, 'text', 7, true, [], [accessToken({ life: 600 })], {}];

/** The last second of JavaScript's Date. */
const LAST_SECOND = 8.64e15 / 1000;

/** Some mean something to others, some to JavaScript; the last ones are ours, but of no token of this version. */
const UNKNOWN_MEMBERS = ['nbf', 'cnf', '', '__proto__', 'constructor', 'Sub', 'ver', 'ext', 'act'];

/** As JSON brings it: `__proto__` is a member like any other. */
function withMember(claims: object, name: string): unknown {
  return JSON.parse(`${JSON.stringify(claims).slice(0, -1)},${JSON.stringify(name)}:1}`);
}

describe('the claims of an access token', () => {
  it('are accepted as minted, with and without scope', () => {
    const bare = withoutScope(accessToken({ life: 600 }));
    expect(isAccessClaims(accessToken({ life: 600 }), rules)).toBe(true);
    expect(isAccessClaims(bare, rules)).toBe(true);
    expect(isAccessClaims(mintAccess(session, rules), rules)).toBe(true);
  });

  it.each([
    ...BAD_CLAIMS,
    ['aud', [...NO_STRING, '', rules.issuer, 'Gatehouse', [rules.audience], [rules.audience, 'other']]],
    ['client_id', NO_STRING],
    ['username', NO_STRING],
    ['scope', NO_STRING.filter((value) => value !== undefined)],
    ['ver', [0, -1, 1.5, Number.MAX_SAFE_INTEGER + 1, '1', null, true, [1], {}]],
  ] as [string, unknown[]][])('are refused with any other %s', (claim, values) => {
    for (const value of values) {
      const payload = { ...accessToken({ life: 600 }), [claim]: value };
      expect(isAccessClaims(payload, rules), JSON.stringify(value)).toBe(false);
    }
  });

  it.each(Object.keys(accessToken({ life: 600 })).filter((claim) => claim !== 'scope'))(
    'are refused without %s',
    (claim) => {
      const payload = Object.fromEntries(
        Object.entries(accessToken({ life: 600 })).filter(([name]) => name !== claim),
      );
      expect(isAccessClaims(payload, rules)).toBe(false);
    },
  );

  it.each([
    ['end before they begin', { exp: START - 1 }],
    ['end as they begin', { exp: START }],
    ['pass the end of the session', { session_exp: START + 599 }],
    ['belong to a session that ended as it was opened', { auth_time: START + 600, session_exp: START + 600 }],
  ])('are refused when they %s', (_, change) => {
    expect(isAccessClaims({ ...accessToken({ life: 600 }), ...change }, rules)).toBe(false);
  });

  it.each(UNKNOWN_MEMBERS.filter((name) => name !== 'ver'))(
    'are refused with %s beside them, which we never write',
    (name) => {
      expect(isAccessClaims(withMember(accessToken({ life: 600 }), name), rules)).toBe(false);
    },
  );

  it.each([
    ['the first second of all', { auth_time: 0 }, true],
    ['the second before it', { auth_time: -1 }, false],
    ['the last second that a date knows', { session_exp: LAST_SECOND }, true],
    ['the second after it', { session_exp: LAST_SECOND + 1 }, false],
  ])('know %s', (_what, change, isKnown) => {
    expect(isAccessClaims({ ...accessToken({ life: 600 }), ...change }, rules)).toBe(isKnown);
    expect(isRefreshClaims({ ...refreshToken(), ...change }, rules)).toBe(isKnown);
  });

  it('are accepted when a primary whose clock is behind took over since the login', () => {
    expect(isAccessClaims({ ...accessToken({ life: 600 }), auth_time: START + 3 }, rules)).toBe(true);
  });

  it.each(NO_PAYLOADS)('are not %j', (payload) => {
    expect(isAccessClaims(payload, rules)).toBe(false);
    expect(isRefreshClaims(payload, rules)).toBe(false);
  });
});

describe('the claims of a refresh token', () => {
  it('are accepted as minted', () => {
    expect(isRefreshClaims(refreshToken(), rules)).toBe(true);
  });

  it.each([
    ...BAD_CLAIMS,
    ['aud', [...NO_STRING, '', rules.audience, [rules.issuer]]],
    ['jti', [`${LINEAGE}.3`, `${SID}.03`, SID]],
    ['sid', [LINEAGE]],
  ] as [string, unknown[]][])('are refused with any other %s', (claim, values) => {
    for (const value of values) {
      expect(isRefreshClaims({ ...refreshToken(), [claim]: value }, rules), JSON.stringify(value)).toBe(
        false,
      );
    }
  });

  it.each(Object.keys(refreshToken()))('are refused without %s', (claim) => {
    const payload = Object.fromEntries(Object.entries(refreshToken()).filter(([name]) => name !== claim));
    expect(isRefreshClaims(payload, rules)).toBe(false);
  });

  it.each(UNKNOWN_MEMBERS)('are refused with %s beside them, which we never write', (name) => {
    expect(isRefreshClaims(withMember(refreshToken(), name), rules)).toBe(false);
  });

  it('are not those of an access token, nor the other way round', () => {
    expect(isRefreshClaims(accessToken({ life: 600 }), rules)).toBe(false);
    expect(isAccessClaims(refreshToken(), rules)).toBe(false);
  });
});

it('splits a jti into lineage and generation', () => {
  expect(parseJti(`${LINEAGE}.0`)).toEqual({ lineage: LINEAGE, generation: 0 });
  expect(parseJti(`${LINEAGE}.999999999`)).toEqual({ lineage: LINEAGE, generation: 999_999_999 });
});
