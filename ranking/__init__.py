"""The projection in Redis: one global sorted set a board, merged from the standings of all shards."""
