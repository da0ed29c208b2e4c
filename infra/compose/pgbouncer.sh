#!/bin/sh
# Starts PgBouncer in front of the one Postgres named by POSTGRES_HOST. What differs between containers is written
# here; everything else is the common configuration, taken as it is.
set -eu
: "${POSTGRES_HOST:?names the Postgres behind this PgBouncer}"
: "${SHARD_PASSWORD:?is the password of the role shardboard}"

run=/run/pgbouncer
umask 077
# In clear, because logging in to Postgres by SCRAM needs the password itself; clients are checked against it too.
printf '"shardboard" "%s"\n' "$SHARD_PASSWORD" > "$run/userlist.txt"
cat > "$run/pgbouncer.ini" <<INI
[databases]
shardboard = host=$POSTGRES_HOST port=5432 dbname=shardboard

%include /etc/shardboard/pgbouncer/pgbouncer.ini
%include /etc/shardboard/pgbouncer/prepared.ini
; Still in the section that the common file opened: opening it again would set all of it back to the defaults.
listen_addr = 0.0.0.0
listen_port = 6432
auth_file = $run/userlist.txt
INI
exec pgbouncer "$run/pgbouncer.ini"
