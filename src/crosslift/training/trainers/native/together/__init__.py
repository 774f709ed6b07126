"""Several LoRA runs of one base model in one process.

The runs share the frozen weights. Their tokens are packed into one row, in which no example attends to another; the
products of the base model are made for all of them at once, and each adapter is applied to the tokens of its own run
(`grouped`). Everything else belongs to the run: data, batches, loss, clipping, optimiser, schedule, validation, state
and checkpoint are those of `loop.Run`, and a run that was interrupted together may continue alone, or the reverse.
"""
