-- What a later release invokes, and this one already judges: versions of claims, a time before which every session is
-- dead, and revocations that can be lifted. A replica of the release before runs on meanwhile: it writes none of them.

-- AlterTable
ALTER TABLE "users" ADD COLUMN "ver" BIGINT NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "sessions" ADD COLUMN "ver" BIGINT NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "revocations" ADD COLUMN "target" UUID,
ADD COLUMN "ending_id" UUID,
ADD COLUMN "lifted_at" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "service" ADD COLUMN "sessions_not_before" TIMESTAMPTZ(3),
ADD COLUMN "must_know" TEXT NOT NULL DEFAULT '';

-- Written by hand from here on: Prisma's schema knows no index on an expression.

-- What a row ends: its target, or what it bears the id of. Rows of before have no target, and need none.
CREATE INDEX "revocations_target_idx" ON "revocations" (coalesce("target", "id")) WHERE "lifted_at" IS NULL;

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129204740_widen_epochs');
