"""Completions of open prompts by a model behind an endpoint: training data for tasks without gold answers."""
