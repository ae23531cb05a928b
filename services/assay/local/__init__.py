"""The driver of runs on one machine: carries out what `domain.decide` decides, with processes and a folder.

`run` and `retry` are what scripts call.
"""

from assay.local.run import RunOutcome, retry, run

__all__ = ["RunOutcome", "retry", "run"]
