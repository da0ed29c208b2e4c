"""Shardboard's speed, measured beside three yardsticks in one run: `python -m benchmarks --help`."""
