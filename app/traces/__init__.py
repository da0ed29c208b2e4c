"""Traces by OTLP, where an operator names who takes them."""
