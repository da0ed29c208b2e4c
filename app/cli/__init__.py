"""The command line `shardboard`."""
