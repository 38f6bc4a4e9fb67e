-- A code sets a password: of a user who has forgotten it, or who is invited. A build of before knows no codes, and needs none.

-- CreateTable
CREATE TABLE "password_codes" (
    "user_id" UUID NOT NULL,
    "code_hash" BYTEA NOT NULL,
    "epoch" BIGINT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "password_codes_pkey" PRIMARY KEY ("user_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "password_codes_code_hash_key" ON "password_codes"("code_hash");

-- CreateIndex
CREATE INDEX "password_codes_expires_at_idx" ON "password_codes"("expires_at");

-- AddForeignKey
ALTER TABLE "password_codes" ADD CONSTRAINT "password_codes_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129235500_judge_before_invoking');
