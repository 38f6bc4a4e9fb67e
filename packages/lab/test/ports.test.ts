import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';

import { findFreePort } from '../shared/ports.js';

it('a port is free to listen on, and said to be taken to all others that look for one', async () => {
  const port = await findFreePort();
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  const another = createSocket('udp4');
  another.bind({ port, address: '127.0.0.1', exclusive: true });
  await expect(once(another, 'listening')).rejects.toMatchObject({ code: 'EADDRINUSE' });
  another.close();
});
