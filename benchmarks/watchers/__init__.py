"""Thousands who watch the top of the board while it changes once a second."""
