"""Questions that imported results are asked. An analysis is a module with

OPTIONS: dict[str, type]                        keys that its [[analyses]] table may have
analyse(results, options) -> Analysed           raises TransferError where the results do not have what it takes
"""
