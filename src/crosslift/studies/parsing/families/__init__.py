"""Families of mixtures: their expansion and their rules."""
