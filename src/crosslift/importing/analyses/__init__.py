"""Analyses of imported results. An analysis is a module with

OPTIONS: dict[str, type]                        keys of its [[analyses]] table
analyse(results, options) -> Analysis           raises TransferError if the results lack what it requires
"""
