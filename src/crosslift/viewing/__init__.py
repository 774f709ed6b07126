"""A study seen while it runs: what changed since the last look, and a local page that shows it."""
