// @ts-check
// Asks each replica all the time for a login, a refresh and an introspection, and tells how long it had no answer.
import { setTimeout as sleep } from 'node:timers/promises';

import { createSilence } from './silence.js';

const PAUSE_MS = { login: 500, refresh: 300, introspect: 100 };

/** @typedef {import('../../history.js').Token} Token */
/** @typedef {keyof typeof PAUSE_MS} Question */
/** @typedef {import('../../questions.js').Reply} Reply */
/** @typedef {Record<Question, number>} Silences the longest of each replica's, in milliseconds */
/** @typedef {ReturnType<typeof startPulse>} Pulse */

const QUESTIONS = /** @type {Question[]} */ (Object.keys(PAUSE_MS));

/** A login may also wait for room to hash, which a busy machine gives to others: it tells nothing of the database then. */
const OF_THE_DATABASE = /** @type {const} */ (['refresh', 'introspect']);

/** @param {import('../stage.js').Stage} stage */
export function startPulse({ questions, replicas, others, password, ledger, now }) {
  let isOver = false;
  const beats = replicas.map((replica, index) => {
    const silences = {
      login: createSilence(now),
      refresh: createSilence(now),
      introspect: createSilence(now),
    };
    const caller = { number: 9000 + index, address: `10.6.${index}.1` };
    /** The latest tokens of one session, which is refreshed for as long as the drill runs. @type {{ access?: Token, refresh?: Token }} */
    const session = {};
    let turn = index;

    /** @type {Record<Question, () => Promise<Reply | null>>} */
    const ask = {
      login: () => {
        turn += replicas.length;
        const username = others[turn % others.length] ?? '';
        return questions.login(caller, replica, { username, password, version: 0, honest: true });
      },
      refresh: async () =>
        session.refresh === undefined ? null : await questions.refresh(caller, replica, session.refresh),
      introspect: async () =>
        session.access === undefined ? null : await questions.introspect(caller, replica, session.access),
    };

    /** @param {Question} question */
    async function beat(question) {
      const reply = await ask[question]();
      if (reply === null) return;
      const { start, end, outcome, status, error, tokens } = reply;
      silences[question].note({ start, end, isAnswered: outcome === 'ok' });
      if (question === 'login' ? session.refresh === undefined : question === 'refresh')
        Object.assign(session, tokens);
      if (reply.active === false) ledger.wrong.push(`a living token is dead at ${replica.name}`);
      if (outcome !== 'refused' || status === 429) return;
      ledger.logout(`an honest ${question} was refused: ${status} ${error} at ${replica.name}`);
      delete session.refresh;
    }

    /** @param {Question} question */
    async function keep(question) {
      while (!isOver) {
        await beat(question);
        await sleep(PAUSE_MS[question]);
      }
    }

    return { silences, work: Promise.all(QUESTIONS.map(keep)) };
  });
  // Awaited in `stop`; until then a failure is not to end the process.
  for (const { work } of beats) work.catch(() => undefined);
  const vital = beats.flatMap(({ silences }) => OF_THE_DATABASE.map((question) => silences[question]));
  /** @param {Question} question */
  const longest = (question) => Math.max(...beats.map(({ silences }) => silences[question].longestMs()));

  return {
    begin: () => {
      for (const { silences } of beats) for (const question of QUESTIONS) silences[question].begin();
    },
    /** Whether all replicas have answered a refresh and an introspection that were asked since then, and all after them. @param {number} moment */
    hasAnsweredSince: (moment) => vital.every((silence) => silence.isOver(moment)),
    /** @returns {Silences} */
    longestMs: () => ({
      login: longest('login'),
      refresh: longest('refresh'),
      introspect: longest('introspect'),
    }),
    stop: async () => {
      isOver = true;
      await Promise.all(beats.map(({ work }) => work));
    },
  };
}
