// Whether the service in this container answers: exit status 0 if it does, 1 if not. Slim images have no curl.
import { get } from 'node:http';

// Where the service listens, and no other address: it may be on one alone. To 0.0.0.0 and :: Linux connects on loopback.
const { HOST, PORT } = process.env;
get({ host: HOST || '127.0.0.1', port: PORT || 3000, path: '/health' }, ({ statusCode }) => {
  process.exit(statusCode === 200 ? 0 : 1);
}).on('error', () => process.exit(1));
