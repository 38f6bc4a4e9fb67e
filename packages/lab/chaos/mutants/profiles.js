// @ts-check
// The clients of any run, weighted differently: what most of them do, so that a mutant in just that shows itself soon.

/** @typedef {Partial<import('../clients.js').Profile>} Profile */

/** An operator who does nothing. */
const IDLE = { endings: 0, prune: 0, rotate: 0, retire: [] };

/** An administrator who does nothing. */
const AWAY = { ends: 0, scopes: 0, deletions: 0, everything: [] };

/** What most hunts are like. @type {Profile} */
const USUAL = {
  loginsPerSecond: 25,
  resourceServers: 4,
  backends: 0,
  users: 30,
  operator: IDLE,
  administrator: AWAY,
};

/** Short visits that end before everybody's eyes. @type {Profile} */
export const LEAVING = { ...USUAL, lives: { visitor: 1 } };

/** The same, and resource servers that ask by batches alone. @type {Profile} */
export const LEAVING_IN_BATCHES = { ...LEAVING, batchedShare: 1 };

/** Sessions that are kept, used and refreshed, in several tabs and by those who lost the answer. @type {Profile} */
export const KEEPING = { ...USUAL, lives: { device: 1 } };

/** Spent refresh tokens that return. @type {Profile} */
export const STEALING = { ...USUAL, lives: { thief: 1 }, resourceServers: 2 };

/** Honest clients who come back after outages. @type {Profile} */
export const ABSENT = { ...USUAL, lives: { absentee: 1 }, resourceServers: 1 };

/** Users who change their passwords, one of whose devices is in the hands of a thief. @type {Profile} */
export const RENEWING = { ...USUAL, lives: { renewer: 1 }, loginsPerSecond: 8, resourceServers: 2 };

/** Several devices of one user, one of which ends the others. @type {Profile} */
export const FAMILIES = { ...USUAL, lives: { family: 1 } };

/** Users who are disabled, or get a new password, with logins under way. @type {Profile} */
export const OPERATING = {
  ...USUAL,
  lives: { device: 1 },
  loginsPerSecond: 20,
  operator: { ...IDLE, endings: 0.05 },
};

/** Keys that are retired one after the other. @type {Profile} */
export const RETIRING = {
  ...USUAL,
  lives: { device: 1 },
  loginsPerSecond: 20,
  resourceServers: 8,
  operator: { ...IDLE, retire: [1, 2, 3, 4], retireCycle: 5 },
};

/** Access tokens that are revoked when they have a successor, and an operator who prunes. @type {Profile} */
export const REVOKING = {
  ...USUAL,
  lives: { revoker: 1 },
  resourceServers: 1,
  operator: { ...IDLE, prune: 1 },
};

/** Users who try to end the sessions of others. @type {Profile} */
export const STRANGE = { ...USUAL, lives: { stranger: 1 } };

/** Few sessions, asked about until they are old, and an operator who prunes. @type {Profile} */
export const AGEING = {
  ...USUAL,
  lives: { device: 1, sleeper: 1 },
  loginsPerSecond: 4,
  resourceServers: 1,
  operator: { ...IDLE, prune: 1 },
};

/** An administrator who ends what others hold and opens, and takes it back. @type {Profile} */
export const ADMINISTERED = {
  ...USUAL,
  lives: { device: 1, visitor: 1 },
  resourceServers: 2,
  administrator: { ...AWAY, ends: 0.1, ownShare: 0.7 },
};

/** An administrator who gives users other scopes. @type {Profile} */
export const RESCOPED = {
  ...USUAL,
  lives: { device: 1 },
  resourceServers: 2,
  administrator: { ...AWAY, scopes: 0.1 },
};

/** An administrator who deletes users, and adds others. @type {Profile} */
export const DELETING = {
  ...USUAL,
  lives: { device: 1 },
  resourceServers: 2,
  administrator: { ...AWAY, deletions: 0.1 },
};

/** Backends that open, change and end sessions of users whom they call alike. No other client lives beside them. @type {Profile} */
export const BACKED = { ...USUAL, lives: {}, backends: 8 };

/** Users who give the password once more. @type {Profile} */
export const CONFIRMING = { ...USUAL, lives: { confirmer: 1 }, resourceServers: 2 };
