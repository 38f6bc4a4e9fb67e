// @ts-check
// What HAProxy is told, and what it tells, over its socket (its management guide).
import { once } from 'node:events';
import { connect } from 'node:net';

/** Places in a line of `show servers state`. */
const [NAME, STATE] = [3, 5];
const RUNNING = '2';

/**
 * @param {string} socket
 * @param {string} command
 * @returns {Promise<string>}
 */
export async function tellHaproxy(socket, command) {
  const client = connect(socket);
  let answer = '';
  client.setEncoding('utf8').on('data', (text) => (answer += text));
  client.end(`${command}\n`);
  await once(client, 'close');
  return answer;
}

/**
 * The servers that take connections.
 *
 * @param {string} state what HAProxy answered to `show servers state`
 */
export function listRunning(state) {
  return state
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[STATE] === RUNNING)
    .map((fields) => String(fields[NAME]));
}
