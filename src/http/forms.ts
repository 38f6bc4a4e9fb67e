/** Bodies: JSON for people's programs, forms for OAuth's endpoints, and nothing else. */
import formbody from '@fastify/formbody';
import type { FastifyInstance } from 'fastify';

/** JSON as Fastify reads it (`__proto__` refused), but an empty body is no body: some clients name a type all the same. */
export function takeJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body: string, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body, done);
  });
}

/** Forms only, in the enclosing scope. */
export async function takeForms(app: FastifyInstance): Promise<void> {
  app.removeAllContentTypeParsers();
  await app.register(formbody);
}
