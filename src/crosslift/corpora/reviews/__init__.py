"""Reviews of made corpora by people who speak the languages: sheets with a sample, and verdicts read back."""
