"""REST for clients without GraphQL: four routes over the same use cases, described by OpenAPI."""
