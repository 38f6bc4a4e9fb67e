/** What Fastify reads requests and writes answers with. */
import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';

/**
 * For each instance of Fastify, those without routes too: one that is given none of its own loads ajv and its companions, which took
 * a twentieth of a start. Answers are made by us and small; a test holds them against their schemas, a serializer need not.
 */
export const COMPILERS: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: {
    // Typed for ajv alone.
    buildValidator: () => validatorCompiler as FastifySchemaCompiler<never> as never,
    buildSerializer: () => () => (data) => JSON.stringify(data),
  },
};
