"""The optimizer of the native trainer: which one a configuration asks for, its update, and its moments for the state.

`adamw` is torch's, and where the study asks for less memory that of `low_memory`, whose moments may have 8 bits and
whose weights may be bfloat16 (`rounding`).
"""
