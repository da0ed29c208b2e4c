#!/bin/sh
# Run once by the image, on an empty volume: the service's role and database. The role owns its database and no more.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=password="${SHARD_PASSWORD:?}" --username=postgres <<'SQL'
-- replication and pg_create_subscription: moving buckets follows the source through a logical slot.
create role shardboard login replication in role pg_monitor, pg_create_subscription password :'password';
create database shardboard owner shardboard;
SQL
