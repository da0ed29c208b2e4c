#!/bin/sh
# Run at every start, before the migrations: the roles and the database of every Postgres in POSTGRES_HOSTS. What is there
# stays; passwords become those given. `shardboard` owns its database and no more; `shardboard_service`, by which all
# traffic comes in, has only what `shardboard migrate` grants to it. `shardboard_monitor` reads statistics and no table; it
# may log in where MONITOR_PASSWORD is given.
set -eu
[ -z "${SHARD_PASSWORD_FILE:-}" ] || SHARD_PASSWORD=$(cat "$SHARD_PASSWORD_FILE")
[ -z "${SERVICE_PASSWORD_FILE:-}" ] || SERVICE_PASSWORD=$(cat "$SERVICE_PASSWORD_FILE")
[ -z "${MONITOR_PASSWORD_FILE:-}" ] || MONITOR_PASSWORD=$(cat "$MONITOR_PASSWORD_FILE")
[ -z "${PGPASSWORD_FILE:-}" ] || PGPASSWORD=$(cat "$PGPASSWORD_FILE")
: "${SHARD_PASSWORD:?is the password of the role shardboard}"
: "${SERVICE_PASSWORD:?is the password of the role shardboard_service}"
: "${PGPASSWORD:?is the password of the superuser postgres}"
MONITOR_PASSWORD=${MONITOR_PASSWORD:-}
export SHARD_PASSWORD SERVICE_PASSWORD MONITOR_PASSWORD PGPASSWORD

for host in ${POSTGRES_HOSTS:?names the Postgres servers}; do
    # Passwords come from the environment by \getenv: arguments are for everybody to see.
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host="$host" --username=postgres --dbname=postgres <<'SQL'
\getenv shard_password SHARD_PASSWORD
\getenv service_password SERVICE_PASSWORD
\getenv monitor_password MONITOR_PASSWORD
-- What fails or takes long is logged by the server with its statement.
set log_min_error_statement = panic;
set log_min_duration_statement = -1;
set client_min_messages = warning;
select 'create role shardboard login' where not exists (select from pg_roles where rolname = 'shardboard')
union all
select 'create role shardboard_service login'
where not exists (select from pg_roles where rolname = 'shardboard_service')
union all
select 'create role shardboard_monitor'
where :'monitor_password' <> '' and not exists (select from pg_roles where rolname = 'shardboard_monitor')
\gexec
-- replication and pg_create_subscription: moving buckets follows the source through a logical slot.
alter role shardboard replication password :'shard_password';
grant pg_monitor to shardboard;
-- Before PostgreSQL 16 there is none, and the owner has to be a superuser for that.
select 'grant pg_create_subscription to shardboard' where exists (select from pg_roles where rolname = 'pg_create_subscription')
\gexec
alter role shardboard_service password :'service_password';
select case
    when :'monitor_password' <> '' then format('alter role shardboard_monitor login password %L', :'monitor_password')
    else 'alter role shardboard_monitor nologin'
end
from pg_roles where rolname = 'shardboard_monitor'
union all
select 'grant pg_monitor to shardboard_monitor' from pg_roles where rolname = 'shardboard_monitor'
\gexec
select 'create database shardboard owner shardboard'
where not exists (select from pg_database where datname = 'shardboard')
\gexec
SQL
done
