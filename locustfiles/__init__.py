"""Locust users that play against a running Shardboard over its public GraphQL alone."""
