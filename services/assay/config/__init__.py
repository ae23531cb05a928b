"""EvalScope's file, admitted: `load_file` or `parse`, then `resolve`.

Everything a user can get wrong in it comes out as one `ConfigError` with the path, the reason and the
cure of each refused key.
"""

from assay.config.file import EvalFile
from assay.config.read import load_file, parse
from assay.config.resolve import Resolved, resolve

__all__ = ["EvalFile", "Resolved", "load_file", "parse", "resolve"]
