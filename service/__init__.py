"""One file a use case, named by a verb; each reads as a story from top to bottom."""
