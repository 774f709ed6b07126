"""Schema of the study file: one strict pydantic model per table, one module per group of tables.

Validation is strict because TOML values have types. Unknown keys are errors, because silently ignoring a misspelt
`max_item` could waste a week of GPU time. Constraints across tables are checked in `rules`; `studies.study` defines the
resulting study, with families expanded and defaults filled in. Field descriptions appear in the JSON Schema for editors
and in error messages.
"""
