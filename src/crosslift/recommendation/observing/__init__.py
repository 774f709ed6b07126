"""What a study says of a question: its observed runs, names, and what it cannot tell."""
