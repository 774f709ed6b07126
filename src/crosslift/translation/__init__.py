"""From an English corpus to a parallel one, with the gold intact."""
