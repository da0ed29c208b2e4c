#!/bin/sh
# Starts Valkey with a configuration that it reads from its standard input: a password among its arguments would be
# there for everybody to see who may list processes.
set -eu
[ -z "${VALKEY_PASSWORD_FILE:-}" ] || VALKEY_PASSWORD=$(cat "$VALKEY_PASSWORD_FILE")
: "${VALKEY_PASSWORD:?is the password of Valkey}"
[ -z "${MONITOR_PASSWORD_FILE:-}" ] || MONITOR_PASSWORD=$(cat "$MONITOR_PASSWORD_FILE")
# Who only looks, for the exporter: sees no key, and no setting, among which passwords are.
monitor=
[ -z "${MONITOR_PASSWORD:-}" ] ||
    monitor="user shardboard_monitor on >$MONITOR_PASSWORD resetkeys resetchannels -@all +ping +info +slowlog|len +slowlog|get +latency|latest +latency|histogram +client|setname"
exec valkey-server - <<CONF
bind 0.0.0.0
port 6379
requirepass $VALKEY_PASSWORD
$monitor
dir /data
# Ranks can be rebuilt from Postgres, so a second of them may be lost; nothing may be evicted.
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
${VALKEY_MAXMEMORY:+maxmemory $VALKEY_MAXMEMORY}
CONF
