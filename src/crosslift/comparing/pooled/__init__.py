"""Several studies pooled, with the study as a level of the model."""
