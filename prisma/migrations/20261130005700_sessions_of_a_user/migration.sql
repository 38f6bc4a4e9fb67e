-- A user may have hundreds of thousands of sessions. Their list, the count of a logout everywhere and the limit of
-- SESSIONS_PER_USER read those that may stand, latest opened first, and stop.

-- DropIndex
DROP INDEX "sessions_user_id_idx";

-- Written by hand from here on: Prisma's schema knows no index on an expression.

-- `id` is in order of opening (UUIDv7). What has ended, or has an epoch of before, lies elsewhere in the index: nobody who
-- opens and ends many sessions can hide the others behind them. It also serves the deletion of a user.
CREATE INDEX "sessions_of_user_idx" ON "sessions" ("user_id", "epoch", ("ended_at" IS NULL), "id");

UPDATE "service" SET "must_know" = greatest("must_know", '20261129204740_widen_epochs');
