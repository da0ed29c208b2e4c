"""The local cluster: PostgreSQL, PgBouncer and Valkey as supervised child processes of one machine."""
