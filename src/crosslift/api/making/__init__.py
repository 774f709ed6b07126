"""Corpora that a model makes, and their reviews by people."""
