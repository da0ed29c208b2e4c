"""The command line: `shardboard`, one module a command or noun."""
