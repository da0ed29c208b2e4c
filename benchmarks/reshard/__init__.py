"""The growth from 4 to 6 shards while the game is on: what it takes, and what players notice of it."""
