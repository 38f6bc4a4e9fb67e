/** GET /openapi.json and GET /docs: what this service speaks, from the schemas that it checks. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastifyPlugin from 'fastify-plugin';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';

import { forOwnHost } from './hosts.js';
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

/** Swagger UI has a dark appearance, and a switch for it in a bar that this page does without: the browser's wish decides. */
const APPEARANCE = `'use strict';
const wish = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', wish.matches);
wish.addEventListener('change', follow);
follow();
`;

/** Its style sheet for pages leaves the background light. */
const BACKGROUND = 'html.dark-mode body { background: #1c2022; }\n';

/** Collects routes: register it before them. */
export const openapiDocument = fastifyPlugin<{ issuer: string }>(
  async (app, { issuer }) => {
    await app.register(swagger, {
      openapi: { ...openapi, servers: [{ url: issuer }] } as never,
      transform: jsonSchemaTransform,
      transformObject: (document) => {
        if (!('openapiObject' in document)) return document.swaggerObject;
        markOptionalBodies(document.openapiObject);
        return document.openapiObject;
      },
    });
  },
  { name: 'openapi-document' },
);

interface Documented {
  paths?: Record<string, { post?: { requestBody?: { required?: boolean; content?: Content } } } | undefined>;
}
type Content = Record<string, { schema?: { anyOf?: { type?: unknown }[] } }>;

/** The plugin calls every body required; one that may be null may be left out. */
function markOptionalBodies(document: unknown): void {
  for (const item of Object.values((document as Documented).paths ?? {})) {
    const body = item?.post?.requestBody;
    const schemas = Object.values(body?.content ?? {}).flatMap(({ schema }) => schema?.anyOf ?? []);
    if (body !== undefined && schemas.some(({ type }) => type === 'null')) body.required = false;
  }
}

/** The document, and a page that shows it without fetching anything from elsewhere. */
export const docsRoutes = fastifyPlugin(
  async (app) => {
    // Written once: anyone may ask, and writing it takes longer than checking a token.
    let document: string | undefined;
    app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
      document ??= JSON.stringify(app.swagger());
      return reply
        .header('cache-control', `public, max-age=${MAX_AGE_SECONDS}`)
        .type('application/json; charset=utf-8')
        .send(document);
    });
    await app.register(async (page) => {
      page.addHook('onRequest', forOwnHost);
      await page.register(swaggerUi, {
        routePrefix: '/docs',
        staticCSP: PAGE_POLICY,
        uiConfig: { layout: 'BaseLayout', deepLinking: true, tryItOutEnabled: true, validatorUrl: null },
        theme: {
          title: 'Gatehouse API',
          js: [{ filename: 'appearance.js', content: APPEARANCE }],
          css: [{ filename: 'background.css', content: BACKGROUND }],
        },
      });
    });
  },
  { name: 'docs-routes', dependencies: ['openapi-document'] },
);
