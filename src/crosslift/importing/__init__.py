"""Imported results: reading the results of other tools into crosslift's tables, and analysing them."""
