/** Bodies: JSON for people's programs, forms for OAuth's endpoints, and nothing else. */
import { isUtf8 } from 'node:buffer';
import formbody from '@fastify/formbody';
import type { FastifyInstance } from 'fastify';

import { AuthError } from '../../domain/errors.js';
import { repeatsMember } from '../../domain/texts/repeated-members.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether numbers in the body are kept as they were sent, so that each must read back as the same text. */
    exactNumbers?: boolean;
  }
}

/**
 * JSON as Fastify reads it (`__proto__` refused), but in UTF-8 to the letter and with no member twice: another reader
 * of the same bytes might take the other one (RFC 8259 sections 8.1 and 4). An empty body is no body: some clients name
 * a type all the same.
 */
export function takeJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    if (bytes.length === 0) {
      done(null, undefined);
      return;
    }
    // Read leniently, every sequence that is not UTF-8 would be the same character: two passwords, one meaning.
    if (!isUtf8(bytes)) {
      done(refused('is not UTF-8'));
      return;
    }
    const text = bytes.toString();
    void parse(request, text, (error, value) => {
      if (error !== null) done(error);
      else if (repeatsMember(text, value)) done(refused('repeats a member'));
      else if (request.routeOptions.config.exactNumbers === true && !hasExactNumbers(text))
        done(
          refused(
            'contains a number that not every reader writes alike: write it as JavaScript does, or as text',
          ),
        );
      else done(null, value);
    });
  });
}

/** A string, which is passed over, or a number. */
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|(-?\d[\d.eE+-]*)/g;

/** Whether each number reads back as the same text: every reader then finds what was sent. */
function hasExactNumbers(json: string): boolean {
  for (const [, number] of json.matchAll(STRING_OR_NUMBER))
    if (number !== undefined && String(Number(number)) !== number) return false;
  return true;
}

function refused(message: string): AuthError {
  return new AuthError('invalid_request', { issues: [{ path: 'body', message }] });
}

/** Lines of JSON only, in the enclosing scope, as one text: each line is read by itself, and says by itself what is wrong with it. */
export function takeLines(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/x-ndjson', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    // Nothing is unpacked here, and packed lines would be so many that are wrong.
    if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') done(refused('is packed'));
    else done(null, bytes.length === 0 ? undefined : new TextDecoder().decode(bytes));
  });
}

/** Forms only, in the enclosing scope. A parameter that was sent without a value is not in them. */
export async function takeForms(app: FastifyInstance): Promise<void> {
  app.removeAllContentTypeParsers();
  await app.register(formbody);
  app.addHook('preValidation', (request, _reply, next) => {
    // Some clients send all that they know of, set or not. RFC 6749 section 3.2: without a value counts as omitted. That is
    // said of a parameter that is there once: a repeated one, an array by now, is refused whatever its values are, since of
    // two readers one may take the first and the other the last.
    const form = Object.fromEntries(Object.entries(request.body ?? {}).filter(([, value]) => value !== ''));
    request.body = form;
    // zod passes over a member of this name, and so over its repetition.
    next(Array.isArray(form['__proto__']) ? refused('an unknown parameter is repeated') : undefined);
  });
}
