#!/bin/sh
# Starts PgBouncer in front of the one Postgres named by POSTGRES_HOST. What differs between containers is written
# here; everything else is the common configuration, taken as it is.
set -eu
: "${POSTGRES_HOST:?names the Postgres behind this PgBouncer}"
: "${SHARD_PASSWORD:?is the password of the role shardboard}"

run=/run/pgbouncer
umask 077
# In clear, because SCRAM towards Postgres needs the password itself; clients are checked against the same line.
printf '"shardboard" "%s"\n' "$SHARD_PASSWORD" > "$run/userlist.txt"
cat > "$run/pgbouncer.ini" <<INI
[databases]
shardboard = host=$POSTGRES_HOST port=5432 dbname=shardboard

%include /etc/shardboard/pgbouncer/pgbouncer.ini
%include /etc/shardboard/pgbouncer/prepared.ini

[pgbouncer]
listen_addr = 0.0.0.0
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $run/userlist.txt
# SHOW VERSION on the admin console tells the service whether prepared statements work.
stats_users = shardboard
INI
exec pgbouncer "$run/pgbouncer.ini"
