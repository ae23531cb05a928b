"""The driver of runs on one machine: carries out what `domain.decide` decides, with processes and a folder.

`run`, `score` and `retry` are what scripts call.
"""

from assay.local.run import RunOutcome, retry, run, score

__all__ = ["RunOutcome", "retry", "run", "score"]
