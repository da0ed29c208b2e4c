"""The local cluster: real Postgres, PgBouncer and Valkey processes on free ports of one machine."""
