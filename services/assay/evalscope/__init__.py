"""EvalScope's Python API for its VLMEvalKit backend: a script runs once `evalscope` is `assay.evalscope`.

Module and class names are EvalScope's. What differs is in the README: failures raise, and a report is
found again from a file or a dict as well.
"""

from assay.evalscope.config import TaskConfig
from assay.evalscope.run import run_task

__all__ = ["TaskConfig", "run_task"]
