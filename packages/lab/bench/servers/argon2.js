// argon2 alone: verifies a password as often as it is asked to, as many at once as the service, and does nothing else.
import { createServer } from 'node:http';

import { createPasswordHasher } from '../../../../dist/domain/passwords/hasher.js';

const { PASSWORD_HASH: phc, PASSWORD: password } = process.env;
const hasher = createPasswordHasher();

createServer((request, response) => {
  if (request.url === '/ready') {
    response.end();
    return;
  }
  hasher.verify(phc, password).then(
    (isRight) => response.writeHead(isRight ? 200 : 401, { 'content-length': 0 }).end(),
    () => response.writeHead(503, { 'content-length': 0 }).end(),
  );
}).listen(Number(process.env.PORT), '127.0.0.1');
