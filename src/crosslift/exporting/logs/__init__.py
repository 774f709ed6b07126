"""Formats of exported scores, one module each, with

write(log: EvaluationLogs, folder: Path) -> None   writes the logs of one run below the folder
MAPPING: str                                       the mapping by which `crosslift import` reads them back
"""
