"""`python -m assay.seal MODULE ARGS...`: ties its life to the launcher, then runs MODULE.

`launch` starts this. MODULE imports what it needs, calls `assay.seal.child.seal()`, and only then
reads its input.
"""

from __future__ import annotations

import json
import os
import runpy
import sys

from assay.process.contract import die_with_parent
from assay.seal.child import SETTINGS_VARIABLE


def main() -> None:
    """Runs the module named on the command line as `__main__`, with the rest as its arguments."""
    launcher = json.loads(os.environ[SETTINGS_VARIABLE])["launcher"]
    die_with_parent(launcher)
    if os.getppid() != launcher:
        sys.exit("the launcher has ended")
    module = sys.argv[1]
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
