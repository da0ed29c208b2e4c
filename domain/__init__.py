"""The nouns of the service as frozen types, and the one tree of errors. Imports nothing of the other layers."""
