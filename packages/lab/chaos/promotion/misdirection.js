// @ts-check
// What stands in front of PostgreSQL leads to a standby for a while: nothing may be answered, whatever is asked.
import { setTimeout as sleep } from 'node:timers/promises';

/** So long at least, and until a replica has reached the standby and a request has had no answer. */
const WRONG_MS = 1500;

/** How long a slow machine is given for that. */
const PATIENCE_MS = 30_000;

/** @typedef {{ standbyConnections: number, notReady: number }} Wrong */

/**
 * @param {import('./plain.js').PlainStage} stage
 * @returns {Promise<Wrong>}
 */
export async function misdirect({ group, front, replicas, ledger, now, noteFault }) {
  const [standby] = group.standbys();
  if (standby === undefined) throw new Error('no standby to lead to');
  const before = {
    connections: await standby.countConnections(),
    unanswered: ledger.counts.unansweredByStandby,
  };
  const countConnections = async () => (await standby.countConnections()) - before.connections;
  const isShown = async () =>
    ledger.counts.unansweredByStandby > before.unanswered && (await countConnections()) > 0;
  await front.misdirect(standby);
  noteFault({ name: 'misdirected', target: standby.name, isKill: false });
  ledger.beginMisdirection(now());
  const giveUpAt = now() + PATIENCE_MS;
  await sleep(WRONG_MS);
  while (now() < giveUpAt && !(await isShown())) await sleep(50);
  const ready = await Promise.all(replicas.map((replica) => replica.isReady()));
  ledger.endMisdirection();
  const standbyConnections = await countConnections();
  await front.follow(group.primary());
  if (standbyConnections === 0) ledger.wrong.push('no replica reached the standby: nothing was shown');
  if (ready.includes(true)) ledger.wrong.push('a replica that reaches but a standby says that it is ready');
  return { standbyConnections, notReady: ready.filter((is) => !is).length };
}
