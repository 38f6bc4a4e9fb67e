/** Prisma's typed client, for lists. It brings a compiler of queries: what shows no list does not load this file. */
import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';

import { PrismaClient } from './generated/client.js';

/** What lists are read with. Nothing is decided by what it reads, and it cannot write. */
export type Tables = { [M in 'user' | 'client']: Pick<PrismaClient[M], 'findMany'> };

export function openTables(pool: pg.Pool): PrismaClient {
  return new PrismaClient({
    adapter: new PrismaPg(pool, { onConnectionError: () => undefined }),
    errorFormat: 'minimal',
  });
}
