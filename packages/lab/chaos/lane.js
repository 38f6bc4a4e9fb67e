// @ts-check
// One direction of one connection: messages go in at one end and, as far as the faults of the hour let them, out at the other.
import { setTimeout as sleep } from 'node:timers/promises';

import { createSplitter } from './messages.js';

/** @typedef {import('./messages.js').Direction} Direction */
/** @typedef {import('./messages.js').Message} Message */

/**
 * What becomes of a message: undefined, it is passed on; `drop`, it is not; `cut`, the connection is reset instead;
 * `cut-after`, it is the last that is passed on.
 *
 * @typedef {'cut' | 'cut-after' | 'drop' | undefined} Verdict
 */

/**
 * @typedef {object} Passing a message that is about to be passed on
 * @property {Direction} direction
 * @property {string} type see Message
 * @property {number} connection numbered
 * @property {string | null} statement see Statement; null between statements
 * @property {boolean} isCommand whether that statement can write
 */

/** @typedef {(passing: Passing) => Verdict | Promise<Verdict>} Hook */

/**
 * @typedef {object} Weather the faults of the hour, shared by all connections
 * @property {Record<Direction, (() => number) | null>} delays milliseconds for each piece that arrives
 * @property {Record<Direction, boolean>} holes
 * @property {Hook | null} hook
 */

/**
 * @param {{
 *   direction: Direction, connection: number, conversation: import('./messages.js').Conversation, weather: Weather,
 *   from: import('node:net').Socket, to: import('node:net').Socket, cut: () => void,
 * }} options
 */
export function createLane({ direction, connection, conversation, weather, from, to, cut }) {
  const split = createSplitter(direction, conversation);
  /** @type {{ message: Message | 'end', dueAt: number }[]} */
  const waiting = [];
  let isPumping = false;
  let isOver = false;

  /** @param {Message[]} messages */
  function take(messages) {
    const delay = weather.delays[direction];
    const isClear = delay === null && !weather.holes[direction] && weather.hook === null;
    if (isClear && waiting.length === 0 && !isPumping) {
      to.cork();
      for (const message of messages) pass(message);
      to.uncork();
      return;
    }
    const dueAt = performance.now() + (delay?.() ?? 0);
    for (const message of messages) waiting.push({ message, dueAt });
    void pump();
  }

  /** One after the other, so that neither a delay nor a slow hook changes the order. */
  async function pump() {
    if (isPumping) return;
    isPumping = true;
    for (let next = waiting[0]; next !== undefined && !weather.holes[direction]; next = waiting[0]) {
      const patienceMs = next.dueAt - performance.now();
      if (patienceMs > 0) await sleep(patienceMs);
      // What swallows everything may have begun meanwhile.
      if (weather.holes[direction]) break;
      waiting.shift();
      if (isOver || to.destroyed) continue;
      if (next.message === 'end') finish();
      else await judge(next.message);
    }
    isPumping = false;
  }

  /** @param {Message} message */
  async function judge(message) {
    const statement = conversation.statement();
    const verdict = await weather.hook?.({
      direction,
      type: message.type,
      connection,
      statement: statement?.name ?? null,
      isCommand: statement?.isWrite ?? false,
    });
    if (verdict === undefined || verdict === 'cut-after') pass(message);
    if (verdict === 'cut') cut();
    if (verdict !== 'cut-after') return;
    finish();
    from.resetAndDestroy();
  }

  /** @param {Message} message */
  function pass(message) {
    if (direction === 'down') conversation.noteDown(message);
    if (!isOver && to.writable) to.write(message.bytes);
  }

  /** Says that nothing more will come, as a FIN does; what comes all the same is lost. */
  function finish() {
    isOver = true;
    if (to.writable) to.end();
  }

  function end() {
    waiting.push({ message: 'end', dueAt: 0 });
    void pump();
  }

  from.on('data', (chunk) => take(split(chunk)));
  from.once('end', end);
  // Of a connection that broke: what had come before is delivered, as a network would.
  from.once('close', end);
  return { finish, resume: () => void pump() };
}

/** @typedef {ReturnType<typeof createLane>} Lane */
