-- A backend opens sessions for users of its own. Such a user is a row whose id is computed from the client's id and the backend's name for the
-- user. What the backend says of a session is kept with the session.

-- AlterTable
ALTER TABLE "users" ADD COLUMN     "client_id" TEXT,
ADD COLUMN     "external_id" TEXT;

-- AlterTable
ALTER TABLE "sessions" ADD COLUMN     "claims" TEXT;

-- AlterTable
ALTER TABLE "clients" ADD COLUMN     "audiences" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- CreateTable
CREATE TABLE "client_ids" (
    "id" TEXT NOT NULL,

    CONSTRAINT "client_ids_pkey" PRIMARY KEY ("id")
);

-- Written by hand from here on: Prisma's schema knows no index with a condition, and no CHECK.

-- The users of one client, latest id first.
CREATE INDEX "users_of_client_idx" ON "users" ("client_id", "id") WHERE "client_id" IS NOT NULL;

-- A client's user has no password, no scope, and a name that nobody can type. No row breaks it yet, so none is read for it.
ALTER TABLE "users" ADD CONSTRAINT "users_of_client" CHECK (
  ("client_id" IS NULL AND "external_id" IS NULL)
  OR ("client_id" IS NOT NULL AND "external_id" IS NOT NULL AND "password_hash" IS NULL AND "scope" = '' AND "ver" = 0
      AND "username" = "client_id" || ' ' || "external_id")
) NOT VALID;

INSERT INTO "client_ids" ("id") SELECT "id" FROM "clients";

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129235500_judge_before_invoking');
