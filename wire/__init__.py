"""What GraphQL and REST have in common over HTTP: how a request is read, bounded and answered, whatever it asks for."""
