// @ts-check
// Asks the database of a run as a superuser, and waits for it where it is away.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** How long it may be away. */
const READ_WITHIN_MS = 30_000;
const RETRY_MS = 50;

/**
 * @param {string} url of a superuser
 * @param {string} text
 * @returns {Promise<any[]>} the rows
 */
export async function queryPatiently(url, text) {
  for (const startedAt = performance.now(); ;) {
    try {
      return await queryOnce(url, text);
    } catch (error) {
      if (performance.now() - startedAt > READ_WITHIN_MS) throw error;
      await sleep(RETRY_MS);
    }
  }
}

/** @param {string} url @param {string} text */
async function queryOnce(url, text) {
  const client = new pg.Client({ connectionString: url, application_name: 'chaos' });
  // The query that it breaks says so.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(text);
    return rows;
  } finally {
    await client.end();
  }
}
