-- The sum of two epochs did not fit their type when one of them was near 2^31: then the statement that all requests share
-- failed for everybody (docs/decisions/0008-epochs.md).
--
-- Each table is written anew under a lock that keeps everything else out, and a session takes 8 bytes more: 12 s for each
-- million of sessions on two busy cores, in which requests are answered 503. Done before the first release, when tables are
-- small. A replica of the version before answers on in between, but for logins: on connections on which it has prepared
-- their statement PostgreSQL refuses it, since the type of a column changed (503, until that replica is replaced).

-- AlterTable
ALTER TABLE "revocations" ALTER COLUMN "epoch" SET DATA TYPE BIGINT;

-- AlterTable
ALTER TABLE "service" ALTER COLUMN "epoch" SET DATA TYPE BIGINT;

-- AlterTable
ALTER TABLE "sessions" ALTER COLUMN "epoch" SET DATA TYPE BIGINT;

-- AlterTable
ALTER TABLE "users" ALTER COLUMN "epoch" SET DATA TYPE BIGINT;
