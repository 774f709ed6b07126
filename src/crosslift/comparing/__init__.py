"""Several studies: two compared cell by cell, several pooled with the study as a level of the model.

The modules read the folders of studies through `result_set`; everything after it works on tables. Estimates are those
of `transfer`: nothing is resampled here in another way.
"""
