// Serves the page, the client for browsers that it imports, and where its servers are; there is nothing else to it.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import serveFiles from '@fastify/static';
import Fastify from 'fastify';

const { GATEHOUSE_URL = 'http://localhost:3000', ORDERS_URL = 'http://localhost:4000' } = process.env;
const { PORT = '8080' } = process.env;

const app = Fastify({ logger: true });

// No script but ours, and no word to anybody but the two servers: whoever gets a script in here gets the tokens.
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  `connect-src ${new URL(GATEHOUSE_URL).origin} ${new URL(ORDERS_URL).origin}`,
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');
app.addHook('onSend', async (_request, reply) => {
  reply.headers({ 'content-security-policy': policy, 'x-content-type-options': 'nosniff' });
});

await app.register(serveFiles, { root: fileURLToPath(new URL('public', import.meta.url)) });
// With a bundler you would write `import … from '@gatehouse/browser'`, and need none of this.
const client = dirname(fileURLToPath(import.meta.resolve('@gatehouse/browser')));
await app.register(serveFiles, { root: client, prefix: '/gatehouse/', decorateReply: false });
app.get('/addresses.js', (_request, reply) =>
  reply
    .type('text/javascript')
    .send(`export default ${JSON.stringify({ gatehouse: GATEHOUSE_URL, orders: ORDERS_URL })};\n`),
);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void app.close());
await app.listen({ port: Number(PORT) });
