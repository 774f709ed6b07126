"""Languages: one data file each."""
