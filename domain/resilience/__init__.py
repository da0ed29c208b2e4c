"""Deadlines, retries, circuit breakers and load shedding: decided here, for every part of the service."""
