/** Signs and verifies tokens with @fastify/jwt: one registration per key and kind, so that its signers are kept. */
import fastifyJwt from '@fastify/jwt';
import Fastify from 'fastify';

import type { CreateTokenCodec } from '../domain/keys/ring.js';
import { COMPILERS } from './server/compilers.js';

/**
 * The plugin keeps a signer and a verifier only for the key that it was registered with, and builds new ones for each
 * call that names another. Our keys come and go, so each has a registration of its own, on an instance that serves
 * nothing. Time and claims are judged elsewhere, by the primary's clock.
 */
export const createTokenCodec: CreateTokenCodec = async ({ kid, algorithm, publicKey, privateKey }, typ) => {
  const host = Fastify({ logger: false, schemaController: COMPILERS });
  await host.register(fastifyJwt, {
    secret: privateKey === null ? { public: publicKey } : { private: privateKey, public: publicKey },
    sign: { algorithm, kid, header: { alg: algorithm, typ } },
    verify: { algorithms: [algorithm], ignoreExpiration: true, ignoreNotBefore: true, cache: false },
  });
  await host.ready();
  const { jwt } = host;
  return {
    header: Buffer.from(JSON.stringify({ alg: algorithm, typ, kid })).toString('base64url'),
    sign: (claims) => jwt.sign(claims),
    verify: (token) => {
      try {
        return jwt.verify<Record<string, unknown>>(token);
      } catch {
        return null; // Whatever is wrong with it, it is not a token of ours; the library's reasons are for nobody.
      }
    },
  };
};
