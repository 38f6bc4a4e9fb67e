-- When the service answered and when it did not, so that an outage does not use up the window in which a repeated refresh
-- gets the same successor. A replica of the release before runs on meanwhile: it neither writes nor reads this.

-- CreateTable
CREATE TABLE "beat" (
    "id" BOOLEAN NOT NULL DEFAULT true,
    "beaten_at" TIMESTAMPTZ(3) NOT NULL,
    "answering_since" TIMESTAMPTZ(3),
    "answered_until" TIMESTAMPTZ(3),

    CONSTRAINT "beat_pkey" PRIMARY KEY ("id")
);

-- Written by hand from here on: Prisma's schema can say neither.

-- With the primary key this keeps its row the only one.
ALTER TABLE "beat" ADD CONSTRAINT "beat_is_one_row" CHECK ("id");

-- The last that the release before is known to have answered: the first beat finds the gap that this upgrade is.
INSERT INTO "beat" ("beaten_at")
SELECT least(coalesce(max("rotated_at"), clock_timestamp()), clock_timestamp()) FROM "sessions";

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129204740_widen_epochs');
