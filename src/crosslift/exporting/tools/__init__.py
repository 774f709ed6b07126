"""Configurations of training tools, one module each, with

COMMAND: str                                         the command that trains, run in the exported folder
files(settings: TrainingSettings) -> dict[str, str]  name -> text of its files; the configuration is <name>.yaml
"""
