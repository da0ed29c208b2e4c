"""More is asked of the service than it can do."""
