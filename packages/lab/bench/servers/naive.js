// What one writes first: the same Fastify and the same JWT plugin, one `findUnique` for each request, nothing shared.
import formbody from '@fastify/formbody';
import fastifyJwt from '@fastify/jwt';
import Fastify from 'fastify';
import { PrismaClient } from '../../../../dist/database/generated/client.js';
import { PrismaPg } from '@prisma/adapter-pg';

const { DATABASE_URL, PORT, PUBLIC_KEY } = process.env;
const prisma = new PrismaClient({ adapter: new PrismaPg(DATABASE_URL) });
const app = Fastify();
await app.register(formbody);
await app.register(fastifyJwt, {
  secret: { public: PUBLIC_KEY },
  verify: { algorithms: ['EdDSA'], cache: true },
});

app.post('/introspect', async (request) => {
  try {
    const claims = app.jwt.verify(request.body.token);
    const session = await prisma.session.findUnique({ where: { id: claims.sid } });
    if (session === null || session.endedAt !== null) return { active: false };
    return { active: true, ...claims, token_type: 'Bearer' };
  } catch {
    return { active: false };
  }
});
await app.listen({ port: Number(PORT) });
