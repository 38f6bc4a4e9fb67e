// A peer: oidc-provider, which introspects tokens of its own from its memory. GET /tokens makes some.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const port = Number(process.env.PORT);
const client = {
  client_id: 'bench',
  client_secret: 'bench-secret',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client],
  features: {
    introspection: { enabled: true },
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
  },
});
const answer = provider.callback();

async function makeTokens(count) {
  const found = await provider.Client.find(client.client_id);
  return Promise.all(
    Array.from({ length: count }, () =>
      new provider.ClientCredentials({ client: found, scope: 'orders:read' }).save(),
    ),
  );
}

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://127.0.0.1');
  if (pathname !== '/tokens') return answer(request, response);
  return makeTokens(Number(searchParams.get('count'))).then((tokens) => response.end(JSON.stringify(tokens)));
}).listen(port, '127.0.0.1');
