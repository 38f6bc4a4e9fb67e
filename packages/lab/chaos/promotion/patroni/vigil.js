// @ts-check
// Asks all the time about what was ended last, also while an old primary wakes: an answer of it would be a wrong one.
import { setTimeout as sleep } from 'node:timers/promises';

const ASKER = { number: 9100, address: '10.9.1.1' };

const PAUSE_MS = 50;

/** Ends that an old primary may not know are the last ones; the one or other is older. */
const RECENT = 40;

/**
 * @param {import('../stage.js').Stage} stage
 * @param {() => number} random
 */
export function startVigil({ questions, replicas, ledger }, random) {
  let isOver = false;
  let asked = 0;

  async function ask() {
    const { ended } = ledger;
    const from = random() < 0.8 ? Math.max(0, ended.length - RECENT) : 0;
    const end = ended[from + Math.floor(random() * (ended.length - from))];
    if (end === undefined) return;
    for (const replica of replicas) {
      const { outcome, active } = await questions.introspect(ASKER, replica, end.access);
      if (outcome === 'ok') asked += 1;
      if (active === true)
        ledger.wrong.push(
          `${replica.name} says that ${end.access.claims['jti']} is active, whose end was acknowledged`,
        );
    }
  }

  async function watch() {
    while (!isOver) {
      await ask();
      await sleep(PAUSE_MS);
    }
  }

  const work = watch();
  // Awaited in `stop`; until then a failure is not to end the process.
  work.catch(() => undefined);
  return {
    asked: () => asked,
    stop: async () => {
      isOver = true;
      await work;
    },
  };
}
