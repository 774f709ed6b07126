"""A first small study for a question: which runs, on which data, and what has to be translated for them."""
