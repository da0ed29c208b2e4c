"""What the processes of a machine measure, put together and served at `GET /metrics`."""
