"""Who owns which bucket, and how statements reach the owner: placement, map, router, coalescing writer."""
