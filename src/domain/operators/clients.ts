/** Clients as operators look them up: latest added first, page by page, with the ids of their secrets. */
import type { Database } from '../../database/prisma.js';
import { CLIENT_COLUMNS, toClient, type FoundClient } from '../clients.js';
import { readPage, type Page, type PageOrder } from './pages.js';

export async function findClients(database: Database, order: PageOrder): Promise<Page<FoundClient>> {
  return await readPage(
    { name: 'clients', filter: {}, isId: () => true },
    order,
    ({ id, createdAt }) => ({ at: createdAt, id }),
    async (after, count) => {
      const rows = await database.query(CLIENT_COLUMNS)`
        WITH page AS MATERIALIZED (
          SELECT id, permissions, audiences, created_at FROM clients
          WHERE ${after?.id ?? null}::text IS NULL OR (created_at, id) < (${after?.at ?? null}::timestamptz, ${after?.id ?? null}::text)
          ORDER BY created_at DESC, id DESC
          LIMIT ${count}::int4
        )
        SELECT page.id, page.permissions, page.audiences, page.created_at AS "createdAt",
               client_secrets.id AS "secretId", client_secrets.created_at AS "secretCreatedAt"
        FROM page LEFT JOIN client_secrets ON client_secrets.client_id = page.id
        ORDER BY page.created_at DESC, page.id DESC, client_secrets.created_at, client_secrets.id`;
      const ids = [...new Set(rows.map(({ id }) => id))];
      return ids.flatMap((id) => toClient(rows.filter((row) => row.id === id)) ?? []);
    },
  );
}

export async function findClient(database: Database, id: string): Promise<FoundClient | null> {
  return toClient(
    await database.query(CLIENT_COLUMNS)`
      SELECT clients.id, clients.permissions, clients.audiences, clients.created_at AS "createdAt",
             client_secrets.id AS "secretId", client_secrets.created_at AS "secretCreatedAt"
      FROM clients LEFT JOIN client_secrets ON client_secrets.client_id = clients.id
      WHERE clients.id = ${id}::text
      ORDER BY client_secrets.created_at, client_secrets.id`,
  );
}
