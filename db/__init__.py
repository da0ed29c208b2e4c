"""How to talk to one Postgres: connections, tables, SQL by noun, migrations."""
