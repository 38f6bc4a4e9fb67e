// The limit of what writes: a bare Fastify and one UPDATE for each request, through `pg`. No signature is checked or made.
//
// POST /update {"id"} is answered with ANSWER and the id, from which a chain makes its next request; POST /end with 204.
import Fastify from 'fastify';
import pg from 'pg';

const { DATABASE_URL, PORT, ANSWER = '{}' } = process.env;
const answer = JSON.parse(ANSWER);
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
const app = Fastify();

app.post('/update', async ({ body: { id } }) => {
  await pool.query({
    name: 'update',
    text: 'UPDATE sessions SET generation = generation + 1, rotated_at = clock_timestamp() WHERE id = $1',
    values: [id],
  });
  return { ...answer, id };
});
app.post('/end', async ({ body: { id } }, reply) => {
  await pool.query({
    name: 'end',
    text: 'UPDATE sessions SET ended_at = clock_timestamp() WHERE id = $1',
    values: [id],
  });
  return reply.code(204).send();
});
app.get('/ready', () => ({}));
await app.listen({ port: Number(PORT) });
