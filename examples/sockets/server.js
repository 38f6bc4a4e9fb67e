// A server with sockets: what one reader writes all readers get, each for as long as the own session lives.
import { randomUUID } from 'node:crypto';
import Fastify from 'fastify';
import { createIntrospector, Refusal } from '@gatehouse/resource-server';
import gatehouse from '@gatehouse/resource-server/fastify';
import { createWatch } from '@gatehouse/resource-server/watch';
import { WebSocketServer } from 'ws';

const { GATEHOUSE_URL = 'http://localhost:3000', CLIENT_ID = 'news', CLIENT_SECRET } = process.env;
const { CLOSES_WITHIN_SECONDS = '20', PORT = '4000' } = process.env;

const TICKET_MS = 30_000;
const FIRST_MESSAGE_MS = 5000;
/** RFC 6455 and its registry at IANA: unauthorized, forbidden, try again later; timeout. */
const CODES = { 401: 3000, 403: 3003, 503: 1013 };
const TOO_LATE = 3008;

const options = { url: GATEHOUSE_URL, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET };
const introspect = createIntrospector(options);
const watch = createWatch(introspect, { seconds: Number(CLOSES_WITHIN_SECONDS) });

const app = Fastify({ logger: true });
await app.register(gatehouse, options);

// A page cannot set headers of a socket, and an address is no place for a token: it gets a ticket, for one socket and half a minute.
const tickets = new Map();
app.post('/tickets', ({ headers }) => {
  const ticket = randomUUID();
  tickets.set(ticket, headers.authorization);
  setTimeout(() => tickets.delete(ticket), TICKET_MS).unref();
  return { ticket };
});

const readers = new Set();
const sockets = new WebSocketServer({ server: app.server, path: '/news', maxPayload: 1024 });
sockets.on('connection', (socket) => {
  const gone = new AbortController();
  const late = setTimeout(() => socket.close(TOO_LATE), FIRST_MESSAGE_MS);
  socket.on('error', ({ message }) => app.log.info(message));
  socket.once('close', () => {
    clearTimeout(late);
    readers.delete(socket);
    gone.abort();
  });
  socket.once('message', (ticket) => {
    clearTimeout(late);
    void admit(socket, String(ticket), gone.signal);
  });
});

/** The first message is a ticket. From then on what the reader writes counts, until the session ends. */
async function admit(socket, ticket, signal) {
  const authorization = tickets.get(ticket);
  tickets.delete(ticket);
  try {
    const onEnd = (refusal) => dismiss(socket, refusal);
    const { user } = await watch(authorization, { scope: 'news', signal, onEnd });
    if (signal.aborted) return;
    readers.add(socket);
    socket.on('message', (text) => {
      for (const reader of readers) reader.send(`${user.username}: ${String(text)}`);
    });
    socket.send(`Hello ${user.username}`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    dismiss(socket, error);
  }
}

/** A peer may leave the closing unanswered for half a minute, and go on writing: it is no longer read, nor written to. */
function dismiss(socket, { status, cause }) {
  if (cause instanceof Error) app.log.warn(cause.message);
  readers.delete(socket);
  socket.removeAllListeners('message');
  socket.close(CODES[status]);
}

app.addHook('preClose', async () => {
  for (const socket of sockets.clients) socket.terminate();
  await introspect.close();
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void app.close());
await app.listen({ port: Number(PORT) });
