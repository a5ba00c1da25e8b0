"""The search for good settings: what is varied, and the study that remembers what came of it."""
