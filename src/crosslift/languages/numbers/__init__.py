"""Numbers in texts: marks of a language, digits, characters, words, and what is read in running text."""
