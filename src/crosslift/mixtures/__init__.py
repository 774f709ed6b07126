"""Language mixtures: training examples, their languages and order, and a manifest that documents them."""
