"""What predictions are compared on, by which models, and how they are scored."""
