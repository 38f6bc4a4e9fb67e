-- A new password ends the session that asks for it as well, and opens another one in its place: the row of the first names the
-- second, so that a repetition of the call finds it. Nobody lives or dies by this column. A replica of the release before
-- refuses such a repetition, and takes a refresh token of the first session for one of any ended session.

-- AlterTable
ALTER TABLE "sessions" ADD COLUMN "succeeded_by" UUID;

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129204740_widen_epochs');
