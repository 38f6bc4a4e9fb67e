// @ts-check
// One user who stands by while there is no load, with one session and one step at a time.
import { setTimeout as sleep } from 'node:timers/promises';

const WITNESS = { number: 9999, address: '10.8.0.1' };

const PAUSE_MS = 100;
const PATIENCE_MS = 30_000;

/** @param {import('./stage.js').Stage} stage */
export function createWitness({ questions, replicas, users, password }) {
  const [replica] = replicas;
  const [username] = users;
  if (replica === undefined || username === undefined) throw new Error('a drill without replicas or users');

  /** @typedef {import('../history.js').Token} Token */
  /** @typedef {import('../questions.js').Reply} Reply */

  /** Until there is a yes or a no. @param {() => Promise<Reply>} ask */
  async function insist(ask) {
    const startedAt = performance.now();
    for (;;) {
      const reply = await ask();
      if (reply.outcome !== 'unknown' || performance.now() - startedAt > PATIENCE_MS) return reply;
      await sleep(PAUSE_MS);
    }
  }

  return {
    /** @returns {Promise<Token>} its access token */
    openSession: async () => {
      const who = { username, password, version: 0, honest: true };
      const { tokens, status, body } = await insist(() => questions.login(WITNESS, replica, who));
      if (tokens.access === undefined) throw new Error(`no login before the drill: ${status} ${body}`);
      return tokens.access;
    },
    /** Once: a second attempt would be another question. @param {Token} token */
    end: (token) => questions.logout(WITNESS, replica, token),
    /** @param {Token} token */
    introspect: (token) => insist(() => questions.introspect(WITNESS, replica, token)),
  };
}
