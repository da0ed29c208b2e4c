#!/bin/sh
# Starts PgBouncer in front of the one Postgres named by POSTGRES_HOST. What differs between containers is written
# here; everything else is the common configuration, taken as it is.
set -eu
: "${POSTGRES_HOST:?names the Postgres behind this PgBouncer}"
# A file, such as a secret of Docker's or Kubernetes', is as good as the variable.
[ -z "${SERVICE_PASSWORD_FILE:-}" ] || SERVICE_PASSWORD=$(cat "$SERVICE_PASSWORD_FILE")
[ -z "${MONITOR_PASSWORD_FILE:-}" ] || MONITOR_PASSWORD=$(cat "$MONITOR_PASSWORD_FILE")
: "${SERVICE_PASSWORD:?is the password of the role shardboard_service}"

run=/run/pgbouncer
umask 077
# In clear, because logging in to Postgres by SCRAM needs the password itself; clients are checked against it too.
printf '"shardboard_service" "%s"\n' "$SERVICE_PASSWORD" > "$run/userlist.txt"
# Who only looks, for the exporter.
[ -z "${MONITOR_PASSWORD:-}" ] || printf '"shardboard_monitor" "%s"\n' "$MONITOR_PASSWORD" >> "$run/userlist.txt"
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
# TLS, where the environment asks for it: CLIENT_TLS_SSLMODE, SERVER_TLS_CA_FILE, …, explained in the common file.
for side in client server; do
    for setting in sslmode ca_file cert_file key_file; do
        name="${side}_tls_$setting"
        value=$(printenv "$(printf %s "$name" | tr '[:lower:]' '[:upper:]')") || continue
        printf '%s = %s\n' "$name" "$value" >> "$run/pgbouncer.ini"
    done
done
exec pgbouncer "$run/pgbouncer.ini"
