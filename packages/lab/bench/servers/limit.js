// The limit: what Fastify can do at all. The same form, the same JSON, no work.
import formbody from '@fastify/formbody';
import Fastify from 'fastify';

const answer = JSON.parse(process.env.ANSWER ?? '{}');
const app = Fastify();
await app.register(formbody);
app.post('/introspect', () => answer);
app.get('/session', () => answer);
await app.listen({ port: Number(process.env.PORT) });
