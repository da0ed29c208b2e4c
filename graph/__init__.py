"""The Strawberry schema of the public contract and the endpoint that serves it."""
