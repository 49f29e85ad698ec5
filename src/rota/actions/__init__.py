"""What a step can do: one module per kind, one registry, and the way from a step to its result (`prepare`)."""
