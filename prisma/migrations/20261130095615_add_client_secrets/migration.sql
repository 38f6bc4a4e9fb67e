-- A client has up to two secrets, each in a row of its own, so that a new one takes the place of an old one without an outage.
-- A build of before knows one secret, in `clients`: it goes on taking that one until it is deleted.

-- AlterTable
ALTER TABLE "clients" ADD COLUMN "secret_count" INTEGER NOT NULL DEFAULT 1;

-- CreateTable
CREATE TABLE "client_secrets" (
    "id" UUID NOT NULL,
    "client_id" TEXT NOT NULL,
    "secret_hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "client_secrets_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "client_secrets_client_id_idx" ON "client_secrets"("client_id");

-- CreateIndex
CREATE INDEX "clients_created_at_id_idx" ON "clients"("created_at", "id");

-- AddForeignKey
ALTER TABLE "client_secrets" ADD CONSTRAINT "client_secrets_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "clients"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Written by hand from here on.

INSERT INTO "client_secrets" ("id", "client_id", "secret_hash", "created_at")
SELECT gen_random_uuid(), "id", "secret_hash", "created_at" FROM "clients";

-- A build of before may still add a client, whose secret it writes into `clients` alone. Trigger and column go one release later.
CREATE FUNCTION "keep_secret_of_older_build"() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN
  INSERT INTO "client_secrets" ("id", "client_id", "secret_hash", "created_at")
  SELECT gen_random_uuid(), NEW."id", NEW."secret_hash", NEW."created_at"
  WHERE NOT EXISTS (SELECT FROM "client_secrets" WHERE "client_id" = NEW."id");
  RETURN NULL;
END $$;
CREATE TRIGGER "keep_secret_of_older_build" AFTER INSERT ON "clients"
FOR EACH ROW EXECUTE FUNCTION "keep_secret_of_older_build"();

-- The oldest build that can live with this is the one that brings the migration named here.
UPDATE "service" SET "must_know" = greatest("must_know", '20261129235500_judge_before_invoking');
