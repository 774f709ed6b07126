"""Languages, numerals, language identification and similarity; one data file per language."""
