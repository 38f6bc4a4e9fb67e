-- Which database cluster the service belongs to. A replica of the release before runs on meanwhile: it does not ask.

-- AlterTable
ALTER TABLE "service" ADD COLUMN "system_identifier" TEXT;

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129204740_widen_epochs');
