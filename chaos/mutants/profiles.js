// @ts-check
// The clients of any run, weighted differently: what most of them do, so that a mutant in just that shows itself soon.

/** @typedef {Partial<import('../clients.js').Profile>} Profile */

/** An operator who does nothing. */
const IDLE = { endings: 0, prune: 0, rotate: 0, retire: [] };

/** Short visits that end before everybody's eyes. @type {Profile} */
export const LEAVING = {
  lives: { visitor: 1 },
  loginsPerSecond: 25,
  resourceServers: 4,
  users: 30,
  operator: IDLE,
};

/** Sessions that are kept, used and refreshed, in several tabs and by those who lost the answer. @type {Profile} */
export const KEEPING = {
  lives: { device: 1 },
  loginsPerSecond: 25,
  resourceServers: 4,
  users: 30,
  operator: IDLE,
};

/** Spent refresh tokens that return. @type {Profile} */
export const STEALING = {
  lives: { thief: 1 },
  loginsPerSecond: 25,
  resourceServers: 2,
  users: 30,
  operator: IDLE,
};

/** Several devices of one user, one of which ends the others. @type {Profile} */
export const FAMILIES = {
  lives: { family: 1 },
  loginsPerSecond: 25,
  resourceServers: 4,
  users: 30,
  operator: IDLE,
};

/** Users who are disabled, or get a new password, with logins under way. @type {Profile} */
export const OPERATING = {
  lives: { device: 1 },
  loginsPerSecond: 20,
  resourceServers: 4,
  users: 30,
  operator: { ...IDLE, endings: 0.05 },
};

/** Keys that are retired one after the other. @type {Profile} */
export const RETIRING = {
  lives: { device: 1 },
  loginsPerSecond: 20,
  resourceServers: 8,
  users: 30,
  operator: { ...IDLE, retire: [1, 2, 3, 4], retireCycle: 5 },
};

/** Few sessions, asked about until they are old, and an operator who prunes. @type {Profile} */
export const AGEING = {
  lives: { device: 1, sleeper: 1 },
  loginsPerSecond: 4,
  resourceServers: 1,
  users: 30,
  operator: { ...IDLE, prune: 1 },
};
