// @ts-check
// Faults on the way between one replica and PostgreSQL.
import { isMoment, pickMoment, strikeAtMessage } from './moment.js';

/** @typedef {import('./stage.js').Fault} Fault */
/** @typedef {import('../messages.js').Direction} Direction */

const MOMENT_WITHIN_MS = 2000;

/** @param {() => number} random @returns {Direction} */
const eitherWay = (random) => (random() < 0.5 ? 'up' : 'down');

/** @type {Record<string, Fault>} */
export const NETWORK_FAULTS = {
  'cut-at-message': {
    weight: 5,
    hits: 'replica',
    run: async ({ replica, note, random, counts }) => {
      const moment = pickMoment(random);
      const isStruck = await strikeAtMessage({
        proxy: replica.proxy,
        isIt: isMoment(moment),
        isPassedOn: moment.isPassedOn,
        strike: () => note({}, () => undefined),
        withinMs: MOMENT_WITHIN_MS,
      });
      if (!isStruck) counts.missed += 1;
    },
  },

  delay: {
    weight: 2,
    hits: 'replica',
    run: async ({ replica: { proxy }, note, random, between, wait }) => {
      proxy.delay(eitherWay(random), () => between(50, 300));
      await note({}, () => wait(1500, 2500)).finally(proxy.heal);
    },
  },

  /** Answers that take their time make long batches of the questions that wait for the next statement. */
  'slow-liveness': {
    weight: 2,
    hits: 'replica',
    run: async ({ replica: { proxy }, note, between, wait }) => {
      proxy.delay('down', between(50, 150));
      await note({}, () => wait(1500, 2500)).finally(proxy.heal);
    },
  },

  'black-hole': {
    weight: 1.5,
    hits: 'replica',
    run: async ({ replica: { proxy }, note, random, wait }) => {
      proxy.blackHole(random() < 0.3 ? undefined : eitherWay(random));
      await note({}, () => wait(1000, 4000)).finally(proxy.heal);
    },
  },

  'half-close': {
    weight: 2,
    hits: 'replica',
    run: ({ replica: { proxy }, note, random }) => note({}, () => proxy.halfClose(eitherWay(random))),
  },

  cut: {
    weight: 2,
    hits: 'replica',
    run: ({ replica: { proxy }, note }) => note({}, proxy.cut),
  },
};
