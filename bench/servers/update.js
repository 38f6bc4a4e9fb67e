// The limit of what writes: a bare Fastify and one UPDATE for each request, through `pg`. No signature is checked or made.
import Fastify from 'fastify';
import pg from 'pg';

const { DATABASE_URL, PORT, ANSWER = '{}' } = process.env;
const answer = JSON.parse(ANSWER);
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
const app = Fastify();

app.post('/update', async ({ body }) => {
  await pool.query({
    name: 'update',
    text: 'UPDATE sessions SET generation = generation + 1, rotated_at = clock_timestamp() WHERE id = $1',
    values: [body.id],
  });
  return answer;
});
await app.listen({ port: Number(PORT) });
