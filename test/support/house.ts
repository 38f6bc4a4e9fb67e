// A Gatehouse to test with: replicas in this process, users and clients, on a database of its own.
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import pino, { type Logger } from 'pino';

import { buildApp, type AppOptions } from '../../src/app.js';
import { readConfig, type Config } from '../../src/config/config.js';
import { openDatabase, type Database } from '../../src/database/prisma.js';
import { addClient, type Permission } from '../../src/domain/clients.js';
import { createGatehouse, type Gatehouse } from '../../src/domain/gatehouse.js';
import { createArgon2, type Argon2 } from '../../src/domain/passwords/argon2.js';
import { createPasswordHasher, type PasswordHasher } from '../../src/domain/passwords/hasher.js';
import type { AccessClaims } from '../../src/domain/tokens/claims.js';
import { addUser } from '../../src/domain/users/users.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import type { Meter } from '../../src/http/meter.js';
import { UNTRACED, type Traces } from '../../src/process/traces.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { holdAnswers, readPromises, type OpenApi, type Promises } from './promises.js';
import { retryOn503, retryStart } from './retry.js';

export const SECRET = 'a-secret-for-tests-of-more-than-32-bytes';

const SECRETS: [string, ...string[]] = [SECRET];

/** Weak on purpose: what argon2id costs is not what most tests are about. */
const CHEAP = { memoryKib: 8, passes: 1, lanes: 1 };

/** Longer than other tests and programs take the machine from us. */
export const AMPLE_MS = 100_000;

/**
 * What hashes for all houses of this process whose deadlines are ample: to start a process for each house took longer than
 * most of its tests. The slots and the queues of a house stay its own. It ends with this process.
 */
let sharedArgon2: Argon2 | undefined;

export interface HouseOptions {
  /** Those that the service ships with are for tests that are about them. */
  deadlines?: 'ample' | 'shipped';
  /** Of all replicas, in place of a cheap one. */
  hasher?: PasswordHasher;
}

export interface TestUser {
  id: string;
  username: string;
  password: string;
}

export interface TestClient {
  id: string;
  secret: string;
}

export interface TokenPair {
  access_token: string;
  token_type: 'Bearer';
  expires_in: number;
  refresh_token: string;
  refresh_expires_in: number;
  session_id: string;
}

export interface Replica {
  app: FastifyInstance;
  gatehouse: Gatehouse;
  /** Its own connections, for what operators do and for looking behind its back. */
  database: Database;
}

export interface House {
  database: TestDatabase;
  hasher: PasswordHasher;
  /** Another replica on the same database, with its own pool and memory. */
  replica: (options?: {
    config?: Partial<Config>;
    secrets?: [string, ...string[]];
    logger?: Logger;
    meter?: Meter;
    refusals?: AppOptions['refusals'];
    limits?: NonNullable<AppOptions['limits']>;
    traces?: Traces;
    doors?: NonNullable<AppOptions['doors']>;
    url?: string;
    /** What the replica asks goes through this. */
    through?: (database: Database) => Database;
  }) => Promise<Replica>;
  user: (options?: { username?: string; scope?: string }) => Promise<TestUser>;
  /** @param audiences of all tokens by default */
  client: (permissions?: Permission[], audiences?: string[]) => Promise<TestClient>;
  close: () => Promise<void>;
}

export const DEFAULTS: Config = { ...readConfig({}), issuer: 'http://gatehouse.test' };

/** Those of all replicas that serve operators: their documents differ in the issuer alone. */
let promises: Promises | undefined;

/** Opens a house; close it in `afterAll`. What its replicas answer to `inject` must be in the OpenAPI document. */
export async function openHouse({ deadlines = 'ample', ...options }: HouseOptions = {}): Promise<House> {
  const database = await createTestDatabase();
  const isAmple = deadlines === 'ample';
  const { hasher = createCheapHasher(isAmple) } = options;
  const closing: (() => Promise<void>)[] = [];
  if (options.hasher === undefined) closing.push(hasher.close);
  const admin = openDatabase(database.url, { connections: 2, deadlineMs: AMPLE_MS });
  closing.push(() => admin.close());
  return {
    database,
    hasher,
    replica: async ({
      config = {},
      secrets = SECRETS,
      logger = pino({ level: 'silent' }),
      meter,
      refusals = null,
      limits,
      traces = UNTRACED,
      doors,
      url = database.url,
      through = (pool: Database) => pool,
    } = {}) => {
      const rules = { ...DEFAULTS, ...config };
      const { events } = rules;
      const pool = through(openDatabase(url, { events, ...(isAmple && { deadlineMs: AMPLE_MS }) }));
      const options = {
        database: traces.traceDatabase(pool),
        reader: pool,
        hasher: traces.traceHasher(hasher),
        createCodec: createTokenCodec,
        rules,
        jwtAlgorithm: rules.jwtAlgorithm,
        secrets,
      };
      const gatehouse = await retryStart(() => createGatehouse(options));
      const app = await buildApp({
        gatehouse,
        config: rules,
        logger,
        meter,
        refusals,
        ...(limits !== undefined && { limits }),
        traceRequests: traces.traceRequests,
        ...(doors !== undefined && { doors }),
        ...(isAmple && { answerDeadlineMs: AMPLE_MS }),
      });
      closing.push(async () => {
        await app.close();
        await pool.close();
      });
      await app.ready();
      if (rules.docs && rules.admin && doors === undefined)
        promises ??= readPromises(app.swagger() as OpenApi);
      if (promises !== undefined && rules.admin && doors === undefined) holdAnswers(app, promises);
      return { app, gatehouse, database: pool };
    },
    user: async ({ username = `user-${randomUUID()}`, scope = '' } = {}) => {
      const password = `password of ${username}`;
      const user = await addUser(admin, { username, passwordHash: await hasher.hash(password), scope });
      if (user === null) throw new Error(`the user ${username} exists`);
      return { id: user.id, username, password };
    },
    client: async (permissions = ['introspect', 'revoke'], audiences = []) => {
      const client = await addClient(admin, { id: `client-${randomUUID()}`, permissions, audiences });
      if (client === null) throw new Error('the client exists');
      return client;
    },
    close: async () => {
      for (const close of closing.reverse()) await close();
      await database.drop();
    },
  };
}

function createCheapHasher(isAmple: boolean): PasswordHasher {
  if (!isAmple) return createPasswordHasher({ parameters: CHEAP });
  sharedArgon2 ??= createArgon2(1);
  const argon2 = { ...sharedArgon2, close: () => Promise.resolve() };
  return createPasswordHasher({ parameters: CHEAP, maxWaitMs: AMPLE_MS, argon2 });
}

export function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` };
}

export function basic({ id, secret }: TestClient): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
}

/** Logs in, again after a 503, and returns the pair; fails the test when that is refused. */
/** The domain alone, with nothing in front of it. */
export function openGatehouse(
  database: Database,
  hasher: PasswordHasher,
  createCodec = createTokenCodec,
): Promise<Gatehouse> {
  return createGatehouse({
    database,
    hasher,
    createCodec,
    rules: DEFAULTS,
    jwtAlgorithm: 'EdDSA',
    secrets: SECRETS,
  });
}

export async function login({ app }: Replica, { username, password }: TestUser): Promise<TokenPair> {
  const payload = { username, password };
  const response = await retryOn503(() => app.inject({ method: 'POST', url: '/login', payload }));
  if (response.statusCode !== 200) throw new Error(`login: ${response.statusCode} ${response.body}`);
  return response.json<TokenPair>();
}

export function refresh({ app }: Replica, refreshToken: string): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'POST', url: '/refresh', payload: { refresh_token: refreshToken } });
}

export function postForm(
  { app }: Replica,
  url: '/introspect' | '/revoke',
  client: TestClient,
  parameters: Record<string, string>,
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: 'POST',
    url,
    headers: { ...basic(client), 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams(parameters).toString(),
  });
}

export function introspect(
  replica: Replica,
  client: TestClient,
  token: string,
): Promise<LightMyRequestResponse> {
  return postForm(replica, '/introspect', client, { token });
}

/** The claims of a token, unverified; those of a refresh token are some of these. */
export function claimsOf(token: string): AccessClaims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as AccessClaims;
}
