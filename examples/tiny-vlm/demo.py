"""`make demo-local`: makes the digits' dataset and evaluates the tiny model, on the processor.

The interpreter with torch is named by $ASSAY_LOCAL_PYTHON; `make local` makes one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_DIGITS = _HERE.parent / "digits"
_ASSAY = Path(sys.executable).with_name("assay")


def main() -> int:
    """Runs both; returns the exit code of `assay run`."""
    subprocess.run([sys.executable, str(_DIGITS / "make_dataset.py")], check=True)
    run = [str(_ASSAY), "run", str(_HERE / "eval.yaml")]
    return subprocess.run(run, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
