"""Backups of all shards to one map of buckets, and what is made of them again."""
