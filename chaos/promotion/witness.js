// @ts-check
// One user who stands by while there is no load, with one session and one step at a time.
const WITNESS = { number: 9999, address: '10.8.0.1' };

/** @param {import('./stage.js').Stage} stage */
export function createWitness({ questions, replicas, users, password }) {
  const [replica] = replicas;
  const [username] = users;
  if (replica === undefined || username === undefined) throw new Error('a drill without replicas or users');

  /** @typedef {import('../history.js').Token} Token */
  return {
    /** @returns {Promise<Token>} its access token */
    openSession: async () => {
      const who = { username, password, version: 0, honest: true };
      const { tokens, status, body } = await questions.login(WITNESS, replica, who);
      if (tokens.access === undefined) throw new Error(`no login before the drill: ${status} ${body}`);
      return tokens.access;
    },
    /** @param {Token} token */
    end: (token) => questions.logout(WITNESS, replica, token),
    /** @param {Token} token */
    introspect: (token) => questions.introspect(WITNESS, replica, token),
  };
}
