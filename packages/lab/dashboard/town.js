// A small town of users, services and troublemakers, so that every panel of the dashboard has something to show.
import { setTimeout as sleep } from 'node:timers/promises';

import { PASSWORD } from '../bench/logins.js';

/** People who are logged in at the same time. */
const PEOPLE = 12;

/** What happens besides, in seconds from the start. */
const GUESSES = { from: 60, to: 110 };
const THEFTS = [150, 165];
const LOCK = { from: 200, to: 220 };
const STORM = { from: 260, to: 275 };

/** How long all of it takes, in seconds. */
export const DURATION = 330;

/**
 * @param {object} world of packages/lab/bench/logins.js
 * @param {string[]} urls of replicas
 */
export async function liveIn(world, urls) {
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  const until = (/** @type {number} */ second) => sleep(Math.max(0, 1000 * (second - seconds())));
  let asked = 0;

  /** Asks the replicas in turn. */
  async function ask(method, path, { address = '198.51.100.1', headers = {}, body = undefined } = {}) {
    asked += 1;
    const response = await fetch(urls[asked % urls.length] + path, {
      method,
      headers: { 'x-forwarded-for': address, ...headers },
      body,
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text.startsWith('{') ? JSON.parse(text) : {},
      successor: response.headers.get('refreshed-api-token'),
    };
  }

  function post(path, body, address) {
    const headers = { 'content-type': 'application/json' };
    return ask('POST', path, { address, headers, body: JSON.stringify(body) });
  }

  const logIn = (username, password, address) => post('/login', { username, password }, address);

  /** As people do who mean it: again after a while, until they are in or the run is over. */
  async function insist(username, address) {
    for (;;) {
      const { status, body } = await logIn(username, PASSWORD, address);
      if (status === 200 || seconds() > DURATION) return body;
      await sleep(1000);
    }
  }

  const refresh = (token, address) => post('/refresh', { refresh_token: token }, address);
  const { id, secret } = world.client;
  const service = {
    authorization: `Basic ${btoa(`${id}:${secret}`)}`,
    'content-type': 'application/x-www-form-urlencoded',
  };

  /**
   * Logs in, works, refreshes in two tabs at times, logs out, and comes again as somebody else. Some never refresh, and live on the
   * successors that answers bring.
   */
  async function livePerson(n) {
    const address = `203.0.113.${n}`;
    const isPatient = n % 3 === 0;
    for (let life = 0; seconds() < DURATION; life += 1) {
      const username = `user-${1 + n + PEOPLE * life}`;
      if (life % 3 === 2) await logIn(username, 'not the password', address);
      let pair = await insist(username, address);
      for (let step = 1; step < (isPatient ? 400 : 100) && seconds() < DURATION; step += 1) {
        const bearer = { authorization: `Bearer ${pair.access_token}` };
        const { successor } = await ask('GET', '/session', { address, headers: bearer });
        if (successor !== null) pair = { ...pair, access_token: successor };
        await ask('POST', '/introspect', { headers: service, body: `token=${pair.access_token}` });
        if (step % 20 === 0 && !isPatient) {
          const [first] = await Promise.all(
            Array.from({ length: step % 40 === 0 ? 2 : 1 }, () => refresh(pair.refresh_token, address)),
          );
          if (first.status === 200) pair = first.body;
        }
        await sleep(100 + 50 * Math.random());
      }
      const path = n % 4 === 0 ? '/logout-all' : '/logout';
      await ask('POST', path, { address, headers: { authorization: `Bearer ${pair.access_token}` } });
      await sleep(500);
    }
  }

  async function guess() {
    await until(GUESSES.from);
    for (let n = 0; seconds() < GUESSES.to; n += 1) {
      await logIn('user-7', `guess number ${n}`, `192.0.2.${n % 20}`);
      await sleep(50);
    }
  }

  /** The owner refreshes twice. Later a copy of the first token comes back. */
  async function steal(second, n) {
    await until(second);
    const first = await insist(`user-${300 + n}`, '203.0.113.200');
    const { body: next } = await refresh(first.refresh_token, '203.0.113.200');
    await refresh(next.refresh_token, '203.0.113.200');
    await sleep(4000);
    await refresh(first.refresh_token, '192.0.2.66');
  }

  /** Somebody holds a lock in PostgreSQL that every statement waits for. */
  async function lock() {
    await until(LOCK.from);
    const client = await world.pool.connect();
    await client.query('BEGIN');
    await client.query('LOCK TABLE service IN ACCESS EXCLUSIVE MODE');
    await until(LOCK.to);
    await client.query('COMMIT');
    client.release();
  }

  async function storm() {
    await until(STORM.from);
    const waves = [];
    for (let n = 0; seconds() < STORM.to; n += 1) {
      waves.push(logIn(`user-${1 + (n % 400)}`, PASSWORD, `10.${n % 200}.${n % 7}.1`));
      await sleep(10);
    }
    await Promise.all(waves);
  }

  const people = Array.from({ length: PEOPLE }, (_, n) => livePerson(n));
  await Promise.all([...people, guess(), ...THEFTS.map(steal), lock(), storm()]);
}
