-- A user may have no password, until a code sets one. A build of before takes null for a hash that no password matches, and spends the
-- usual time on it.

-- AlterTable
ALTER TABLE "users" ALTER COLUMN "password_hash" DROP NOT NULL;

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129235500_judge_before_invoking');
