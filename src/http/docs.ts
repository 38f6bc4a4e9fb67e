/** GET /openapi.json and GET /docs: what this service speaks, from the schemas that it checks. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastifyPlugin from 'fastify-plugin';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';

import { openapi } from './openapi.js';

const MAX_AGE_SECONDS = 300;

/** The page takes scripts and pictures from here alone; Swagger UI sets styles on its elements. */
const PAGE_POLICY = {
  'default-src': ["'none'"],
  'base-uri': ["'none'"],
  'connect-src': ["'self'"],
  'font-src': ["'self'"],
  'frame-ancestors': ["'none'"],
  'img-src': ["'self'", 'data:'],
  'script-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
};

/** Collects routes: register it before them. */
export const openapiDocument = fastifyPlugin<{ issuer: string }>(
  async (app, { issuer }) => {
    await app.register(swagger, {
      openapi: { ...openapi, servers: [{ url: issuer }] } as never,
      transform: jsonSchemaTransform,
    });
  },
  { name: 'openapi-document' },
);

/** The document, and a page that shows it without fetching anything from elsewhere. */
export const docsRoutes = fastifyPlugin(
  async (app) => {
    app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) =>
      reply.header('cache-control', `public, max-age=${MAX_AGE_SECONDS}`).send(app.swagger()),
    );
    await app.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: PAGE_POLICY,
      uiConfig: { layout: 'BaseLayout', deepLinking: true, tryItOutEnabled: true, validatorUrl: null },
      theme: { title: 'Gatehouse API' },
    });
  },
  { name: 'docs-routes', dependencies: ['openapi-document'] },
);
