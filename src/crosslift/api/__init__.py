"""What users of Python import: `crosslift.open_study`, `crosslift.score` and the other names of `crosslift`.

The modules of this package hold what is common to Python and the command line: they combine functions of the other
packages and contain neither printing nor a second implementation. Names are exported lazily by `crosslift` itself, so
that `import crosslift` loads neither polars nor torch. Progress is passed to callbacks. All errors derive from
`crosslift.CrossliftError`.
"""
