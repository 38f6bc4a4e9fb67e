// A resource server: everybody's orders, each for whoever is logged in with the right scope.
import cors from '@fastify/cors';
import Fastify from 'fastify';
import gatehouse from '@gatehouse/resource-server/fastify';

const { GATEHOUSE_URL = 'http://localhost:3000', CLIENT_ID = 'orders', CLIENT_SECRET } = process.env;
const { WEB_ORIGIN = 'http://localhost:8080', PORT = '4000' } = process.env;

const app = Fastify({ logger: true });
// The page is of another origin: it may call, and read what renewal and errors need.
const exposedHeaders = ['Refreshed-API-Token', 'Retry-After', 'WWW-Authenticate'];
await app.register(cors, { origin: WEB_ORIGIN, exposedHeaders });
// From here on every route wants a live token, unless it says otherwise.
await app.register(gatehouse, { url: GATEHOUSE_URL, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET });

/** By user, who is the pair of these two: two clients may have one name for two of their own users. */
const ordersOf = new Map();
const keyOf = ({ client_id, sub }) => `${client_id} ${sub}`;
const body = { type: 'object', required: ['item'], properties: { item: { type: 'string', maxLength: 80 } } };

app.get('/health', { config: { public: true } }, () => ({ status: 'alive' }));

app.get('/orders', { config: { scope: 'orders:read' } }, ({ user }) => ({
  orders: ordersOf.get(keyOf(user)) ?? [],
}));

app.post('/orders', { config: { scope: 'orders:write' }, schema: { body } }, (request, reply) => {
  const orders = ordersOf.get(keyOf(request.user)) ?? [];
  ordersOf.set(keyOf(request.user), [...orders, request.body.item]);
  return reply.code(201).send({ item: request.body.item });
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void app.close());
await app.listen({ port: Number(PORT) });
