"""What one device does otherwise if it is a GPU: attention over packed rows, loss, compiled blocks, transfers.

`path` decides which of them a run uses. Each is checked on the device before the first step; where one cannot be used,
the run takes the path of CPUs instead, and its provenance says why.
"""
