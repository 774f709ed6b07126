"""Machine translation of a corpus in one language into a parallel corpus, with valid gold answers."""
