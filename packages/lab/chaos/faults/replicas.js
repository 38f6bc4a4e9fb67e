// @ts-check
// Faults that take a replica away.
import { isMoment, pickMoment, strikeAtMessage } from './moment.js';

/** @typedef {import('./stage.js').Fault} Fault */

const CLOCK_SHIFT_MS = 600_000;

/** A message that has not come by then does not come. */
const MOMENT_WITHIN_MS = 3000;

/** @type {Record<string, Fault>} */
export const REPLICA_FAULTS = {
  'kill-replica': {
    weight: 24,
    hits: 'replica',
    takesAway: true,
    run: async ({ replica, note, counts, wait }) => {
      await note({ isKill: true }, replica.kill);
      counts.kills.replica += 1;
      await wait(0, 300);
      await replica.start();
    },
  },

  'kill-replica-at-message': {
    weight: 14,
    hits: 'replica',
    takesAway: true,
    run: async ({ replica, note, random, counts }) => {
      const moment = pickMoment(random);
      const { isPassedOn } = moment;
      const isStruck = await strikeAtMessage({
        proxy: replica.proxy,
        isIt: isMoment(moment),
        isPassedOn,
        strike: () => note({ isKill: true }, replica.kill),
        withinMs: MOMENT_WITHIN_MS,
      });
      if (isStruck) counts.kills.replica += 1;
      else counts.missed += 1;
      await replica.start();
    },
  },

  'shift-clock': {
    weight: 4,
    hits: 'replica',
    takesAway: true,
    run: async ({ replica, note, random, wait }) => {
      const shiftMs = random() < 0.5 ? CLOCK_SHIFT_MS : -CLOCK_SHIFT_MS;
      await note({}, async () => {
        await replica.stop('SIGTERM');
        await replica.start({ shiftMs });
        await wait(2000, 4000);
        await replica.stop('SIGTERM');
        await replica.start();
      });
    },
  },

  'rolling-restart': {
    weight: 0.5,
    hits: 'all',
    takesAway: true,
    run: async ({ cluster, note }) => {
      await note({ target: null }, async () => {
        for (const replica of cluster.replicas) {
          await replica.stop('SIGTERM');
          await replica.start();
        }
      });
    },
  },
};
