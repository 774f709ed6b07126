"""What others wrote: bounded in time and memory when it is read, and harmless when it is written out again."""
