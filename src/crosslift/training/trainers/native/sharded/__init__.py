"""One run on several devices of a machine: weights, gradients and moments are sharded (FSDP2).

`launch` is the side of the worker, `rank` that of a process on one device. A rank holds a share of every parameter
(`model`), computes a share of every step (`run`) and writes a share of the state (`state`). Losses and gradients are
those of one device, up to the order of summation.
"""
