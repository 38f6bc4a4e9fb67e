// What a session and a revocation cost on disk, and whether inserting them slows down as tables grow.
//
// Rows come by the world's generate_series batches, in the order of time as the service's own inserts would. What one
// insert of the service costs besides (a round trip, a commit) has nothing to do with how large the table is.
import { median } from '../numbers.js';
import { addRevocations, addSessions, addUsers, openWorld, settle } from '../world.js';

const TABLES = { sessions: addSessions, revocations: addRevocations };

/** Rows that a rate is measured over at each size, and rows of them at a time. */
const STRETCH = 100_000;
const CHUNKS = 10;

export async function storage({ quick, log }) {
  const sizes = quick ? [5000, 50_000] : [100_000, 1_000_000, 10_000_000];
  const world = await openWorld();
  try {
    await addUsers(world, quick ? 10_000 : 100_000);
    const at = [];
    for (const rows of sizes) {
      // The stretch that is measured ends at the size that it is measured for.
      const before = rows - Math.min(STRETCH, rows / 2);
      await grow(world, at.at(-1)?.rows ?? 0, before, sizes.at(-1));
      const inserts = await measureInserts(world, before, rows, sizes.at(-1));
      log(`storage: at ${rows} rows ${JSON.stringify(inserts)}`);
      at.push({ rows, inserts, bytesPerRow: await measureBytes(world, rows) });
    }
    return { at };
  } finally {
    await world.close();
  }
}

async function grow(world, from, to, all) {
  if (to <= from) return;
  const span = { from: from / all, to: to / all };
  await addSessions(world, to - from, span);
  await addRevocations(world, to - from, span);
  await settle(world);
}

/**
 * Inserts into each table and into one that is like it but for its size, in turns: the ratio of the two is about size, and
 * what else the machine does meanwhile slows both down.
 */
async function measureInserts(world, from, to, all) {
  const inserts = {};
  for (const [table, add] of Object.entries(TABLES)) {
    const small = await createTwin(world, table);
    const rates = { full: [], small: [] };
    for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
      const count = (to - from) / CHUNKS;
      const begin = from + chunk * count;
      const span = { from: begin / all, to: (begin + count) / all };
      rates.full.push(await rateOf(count, () => add(world, count, span)));
      rates.small.push(await rateOf(count, () => add(world, count, { ...span, into: small })));
    }
    inserts[table] = {
      rowsPerSecond: median(rates.full),
      ratioToSmall: median(rates.full.map((rate, chunk) => rate / rates.small[chunk])),
    };
    await world.pool.query(`DROP TABLE ${small}`);
  }
  return inserts;
}

/** A table with the same columns and indexes, and a foreign key, which costs a look-up, where there is one. */
async function createTwin({ pool }, table) {
  const twin = `small_${table}`;
  await pool.query(`CREATE TABLE ${twin} (LIKE ${table} INCLUDING ALL)`);
  if (table === 'sessions')
    await pool.query(`ALTER TABLE ${twin} ADD FOREIGN KEY (user_id) REFERENCES users (id)`);
  return twin;
}

async function rateOf(count, insert) {
  const startedAt = performance.now();
  await insert();
  return (count * 1000) / (performance.now() - startedAt);
}

/** {sessions: {table, [index], total}, revocations: …}, free space and visibility maps included. */
async function measureBytes({ pool }, rows) {
  const { rows: parts } = await pool.query(
    `SELECT owner.relname AS owner, coalesce(part.relname, 'table') AS part, pg_table_size(coalesce(part.oid, owner.oid))::float8 AS bytes
     FROM pg_class AS owner
     CROSS JOIN LATERAL (SELECT NULL::oid AS id UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = owner.oid) AS found
     LEFT JOIN pg_class AS part ON part.oid = found.id
     WHERE owner.relname = ANY($1) AND owner.relnamespace = 'public'::regnamespace
     ORDER BY 1, part.relname NULLS FIRST`,
    [Object.keys(TABLES)],
  );
  return Object.fromEntries(
    Object.keys(TABLES).map((table) => {
      const own = parts.filter(({ owner }) => owner === table);
      const perRow = own.map(({ part, bytes }) => [part, bytes / rows]);
      return [
        table,
        { ...Object.fromEntries(perRow), total: perRow.reduce((sum, [, bytes]) => sum + bytes, 0) },
      ];
    }),
  );
}
