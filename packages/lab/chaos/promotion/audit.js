// @ts-check
// Asks every replica about everything that was acknowledged as ended, and about what must still live.
import { setTimeout as sleep } from 'node:timers/promises';

/** @typedef {import('./ledger.js').Ended} Ended */
/** @typedef {import('./ledger.js').Ledger} Ledger */
/** @typedef {import('../questions.js').Questions} Questions */
/** @typedef {import('../questions.js').Replica} Replica */
/** @typedef {import('../questions.js').Reply} Reply */

/** Who asks: nobody's sessions are its own. */
const AUDITOR = { number: 0, address: '10.9.0.1' };

const AT_ONCE = 16;
const ATTEMPTS = 40;
const PAUSE_MS = 100;

/** @typedef {ReturnType<typeof createAudit>} Audit */

/**
 * @param {{ questions: Questions, replicas: Replica[], ledger: Ledger }} world
 */
export function createAudit({ questions, replicas, ledger }) {
  const counts = { endsKnown: 0, endsAsked: 0, lost: 0, minted: 0, livingAsked: 0, dead: 0, unanswered: 0 };

  /** @param {() => Promise<Reply>} ask */
  async function insist(ask) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const reply = await ask();
      if (reply.outcome !== 'unknown') return reply;
      await sleep(PAUSE_MS);
    }
    counts.unanswered += 1;
    ledger.wrong.push('an audit got no answer');
    return null;
  }

  /** @param {Ended} end */
  async function askEnded({ access, refresh }) {
    counts.endsAsked += 1;
    for (const replica of replicas) {
      const reply = await insist(() => questions.introspect(AUDITOR, replica, access));
      if (reply?.active !== true) continue;
      counts.lost += 1;
      ledger.wrong.push(`the acknowledged end of ${access.claims['jti']} is lost at ${replica.name}`);
    }
    const [replica] = replicas;
    if (refresh === null || replica === undefined) return;
    const reply = await insist(() => questions.refresh(AUDITOR, replica, refresh));
    if (reply?.outcome !== 'ok') return;
    counts.minted += 1;
    ledger.wrong.push(`${replica.name} minted tokens for the ended session ${refresh.sid}`);
  }

  /** @param {import('./ledger.js').Kept} session */
  async function askLiving(session) {
    const { access } = session;
    // Its caller may have revoked it meanwhile, and have another one already.
    const isKept = () => !session.isEnding && ledger.kept.has(session) && session.access === access;
    for (const replica of replicas) {
      if (!isKept()) return;
      counts.livingAsked += 1;
      const reply = await insist(() => questions.introspect(AUDITOR, replica, access));
      if (reply === null || reply.active === true || !isKept()) continue;
      counts.dead += 1;
      ledger.wrong.push(`${access.claims['jti']} is dead at ${replica.name}, though nothing ended it`);
    }
  }

  return {
    counts,
    /** @param {Ended[]} ends */
    ended: async (ends) => {
      counts.endsKnown = ledger.ended.length;
      await eachOf(ends, askEnded);
    },
    living: () => eachOf([...ledger.kept], askLiving),
    /** How many of the ends that were answered 503, and not asked for again, have happened all the same. */
    uncertain: async () => {
      let happened = 0;
      await eachOf(ledger.uncertain, async (token) => {
        const [replica] = replicas;
        if (replica === undefined) return;
        const reply = await insist(() => questions.introspect(AUDITOR, replica, token));
        if (reply?.active === false) happened += 1;
      });
      return happened;
    },
  };
}

/**
 * @template T
 * @param {T[]} list
 * @param {(item: T) => Promise<void>} ask
 */
async function eachOf(list, ask) {
  const rest = [...list];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let item = rest.pop(); item !== undefined; item = rest.pop()) await ask(item);
    }),
  );
}
