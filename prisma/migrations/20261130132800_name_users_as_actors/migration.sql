-- A row of revocations names the user who has ended something: `user:<id>`, where it said `user`. The index on actors goes on without
-- them: they are nearly all, and those of one user are found by the user.
DROP INDEX "revocations_of_actor_idx";
CREATE INDEX "revocations_of_actor_idx" ON "revocations" ("actor", "revoked_at", "id") WHERE left("actor", 4) <> 'user';

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129235500_judge_before_invoking');
