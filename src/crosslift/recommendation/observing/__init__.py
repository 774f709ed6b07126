"""What is asked, in the terms of a study: the question file, names and objective, and the observed runs."""
