"""Settings, wiring, the ASGI app and the command line: the only layer that knows all the others."""
