-- Users are deleted: at once for everybody, and their rows a little later, in batches. An account's attempts at its password are found by
-- the account, so that they can go with it.

-- AlterTable
ALTER TABLE "users" ADD COLUMN     "deleted_at" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "login_attempts" ADD COLUMN     "account" VARCHAR(64);

-- Written by hand from here on: Prisma's schema knows no index with a condition, and no CHECK.

-- Those who are deleted and still have a row.
CREATE INDEX "users_deleted_idx" ON "users" ("id") WHERE "deleted_at" IS NOT NULL;

-- An attempt that a build of before counts has no account here: it goes at the end of its hour.
CREATE INDEX "login_attempts_account_idx" ON "login_attempts" ("account") WHERE "account" IS NOT NULL;

-- A build of before knows nothing of deleted users. It can neither enable one nor give one a password or another name. No row breaks it
-- yet, so none is read for it.
ALTER TABLE "users" ADD CONSTRAINT "users_deleted_is_final" CHECK (
  "deleted_at" IS NULL OR ("disabled_at" IS NOT NULL AND "password_hash" IS NULL AND btrim("username") = "id"::text)
) NOT VALID;

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129235500_judge_before_invoking');
