/** GET /openapi.json and GET /docs: what this service speaks, from the schemas that it checks. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastifyPlugin from 'fastify-plugin';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';

import { forOwnHost } from '../intake/hosts.js';
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

/** Without it a phone shows the page as wide as on a desk, and small; the plugin has no option for it. */
const FOR_PHONES = '<meta name="viewport" content="width=device-width, initial-scale=1">';

/**
 * Collects routes: register it before them.
 *
 * @param options.base of their addresses; empty for the one at which the document is asked for
 * @param options.version of the service, as in package.json
 */
export const openapiDocument = fastifyPlugin<{ base: string; version: string }>(
  async (app, { base, version }) => {
    await app.register(swagger, {
      openapi: {
        ...openapi,
        info: { ...openapi.info, version },
        servers: [{ url: base === '' ? '/' : base }],
        externalDocs: { description: 'This document, for programs', url: `${base}/openapi.json` },
      } as never,
      transform: describeRoute,
      transformObject: (document) => finish(describeComponents(document)),
    });
  },
  { name: 'openapi-document' },
);

/** Says what matters to a client: not the limits of JavaScript's numbers, nor the pattern beside a format. */
const zodToJsonConfig = {
  override: ({ zodSchema, jsonSchema }: OverrideContext): void => {
    const { type, catchall } = zodSchema._zod.def;
    // An answer may have more members one day. Only where nothing else may be there does a schema say so.
    if (type === 'object' && catchall === undefined) delete jsonSchema['additionalProperties'];
    if (type === 'number') {
      delete jsonSchema['minimum'];
      delete jsonSchema['maximum'];
    }
    if (type === 'string' && 'format' in jsonSchema) delete jsonSchema['pattern'];
    if (type === 'literal' && jsonSchema['type'] === 'number') jsonSchema['type'] = 'integer';
  },
};
interface OverrideContext {
  zodSchema: { _zod: { def: { type: string; catchall?: unknown } } };
  jsonSchema: Record<string, unknown>;
}

const transformSchema = createJsonSchemaTransform({ zodToJsonConfig });
const describeComponents = createJsonSchemaTransformObject({ zodToJsonConfig });

type Transform = NonNullable<Parameters<typeof transformSchema>[0]>;
type Answers = Record<string, { headers?: unknown } | undefined>;

/** The plugin leaves out what an answer with a media type says of its headers. */
function describeRoute(route: Transform): ReturnType<typeof transformSchema> {
  const described = transformSchema(route);
  const answers = (described.schema as { response?: Answers } | undefined)?.response ?? {};
  for (const [status, { headers } = {}] of Object.entries(
    (route.schema as { response?: Answers }).response ?? {},
  )) {
    const answer = answers[status];
    if (headers !== undefined && answer !== undefined) answer.headers = headers;
  }
  return described;
}

interface Described {
  paths: Record<string, { post?: { requestBody?: { required?: boolean; content?: Content } } } | undefined>;
  components: { schemas: Record<string, unknown> };
}
type Content = Record<string, { schema?: { anyOf?: { type?: unknown }[] } }>;

function finish(document: object): never {
  const { paths, components } = document as Described;
  markOptionalBodies(paths);
  components.schemas = takeReferred(paths, components.schemas);
  return document as never;
}

/** The plugin calls every body required; one that may be null may be left out. */
function markOptionalBodies(paths: Described['paths']): void {
  for (const item of Object.values(paths)) {
    const body = item?.post?.requestBody;
    const schemas = Object.values(body?.content ?? {}).flatMap(({ schema }) => schema?.anyOf ?? []);
    if (body !== undefined && schemas.some(({ type }) => type === 'null')) body.required = false;
  }
}

/** The plugin writes every schema twice, as what is sent and as what is answered: of these, those that something refers to. */
function takeReferred(from: unknown, schemas: Record<string, unknown>): Record<string, unknown> {
  const taken = new Set<string>();
  const open = [from];
  for (const one of open) {
    for (const [, name = ''] of JSON.stringify(one).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (!taken.has(name)) open.push(schemas[name]);
      taken.add(name);
    }
  }
  return Object.fromEntries([...taken].sort().map((name) => [name, schemas[name]]));
}

/** The document. */
export const openapiRoute = fastifyPlugin(
  (app, _options, done) => {
    // Written once: anyone may ask, and writing it takes longer than checking a token.
    let document: string | undefined;
    app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
      document ??= JSON.stringify(app.swagger());
      return reply
        .header('cache-control', `public, max-age=${MAX_AGE_SECONDS}`)
        .type('application/json; charset=utf-8')
        .send(document);
    });
    done();
  },
  { name: 'openapi-route', dependencies: ['openapi-document'] },
);

/** A page that shows it without fetching anything from elsewhere. */
export const docsPage = fastifyPlugin(
  async (app) => {
    await app.register(async (page) => {
      page.addHook('onRequest', forOwnHost);
      page.addHook('onSend', (_request, _reply, payload, done) => {
        const isText = typeof payload === 'string';
        done(null, isText ? payload.replace('<head>', `<head>\n      ${FOR_PHONES}`) : payload);
      });
      await page.register(swaggerUi, {
        routePrefix: '/docs',
        staticCSP: PAGE_POLICY,
        // The page may ask the origin alone that it comes from, which need not be the issuer's: a gateway may keep the page to itself.
        transformSpecification: ({ ...document }) => ({
          ...document,
          servers: [{ url: '..', description: 'where this page comes from' }],
        }),
        transformSpecificationClone: false,
        uiConfig: { layout: 'BaseLayout', deepLinking: true, tryItOutEnabled: true, validatorUrl: null },
        theme: {
          title: 'Gatehouse API',
          js: [{ filename: 'appearance.js', content: APPEARANCE }],
          css: [{ filename: 'background.css', content: BACKGROUND }],
        },
      });
    });
  },
  { name: 'docs-page', dependencies: ['openapi-document'] },
);
