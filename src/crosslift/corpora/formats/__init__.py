"""Data sets in files with columns, as they lie on the hub: files, rows, formats, and recognizing them."""
