#!/bin/sh
# Run once by PostgreSQL's image, over an empty data directory: Gatehouse owns its database and is no superuser, so
# that nobody who gets SQL through it gets the server too.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set password="$(cat /secrets/database/password)" <<'SQL'
CREATE ROLE gatehouse LOGIN PASSWORD :'password';
CREATE DATABASE gatehouse OWNER gatehouse;
SQL
