"""Several studies at once: compared, or pooled. A package of its own, since `api` holds at most twelve modules."""
