"""The optimizer steps of a run: its optimizer, batches as a device takes them, losses and gradients."""
