"""From a chosen mixture to a model folder: `crosslift train-final`."""
