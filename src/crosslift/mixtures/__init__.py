"""Language mixtures: what is trained on, in which language, in which order, with a manifest that proves it."""
