"""The sealed comparing child: upstream's `is_equal` of MathVision, one pair at a time.

`scorer.equality` runs it. It says `{"ready": true}` once, then answers each letter `{"pair": [a, b]}` with
`{"equal": flag}`. The letters' texts are run as Python by upstream: what they can do is what a sealed
child can.
"""

from __future__ import annotations

import json

from assay.domain.sample import UnscoredReason
from assay.seal.child import read_lines, seal
from assay.vlmevalkit import shim

NEEDED = frozenset({"latex2sympy2_extended", "sympy"})
"""What the comparison computes with, and nothing else here does."""


def main() -> None:
    """Imports, seals, compares until it is killed."""
    shim.install(real=NEEDED)
    from vlmeval.dataset.utils import mathv  # noqa: PLC0415 - only behind the shim

    # Without the fork and the clock around it: who asks keeps the time.
    is_equal = mathv.is_equal.__wrapped__
    # Its first parse builds tables for the rest.
    is_equal("\\\\frac{1}{2}", "0.25")
    outlet = seal()
    outlet.send({"ready": True})
    for line in read_lines():
        told = json.loads(line) if line else {}
        if "pair" not in told:
            continue
        try:
            outlet.send({"equal": bool(is_equal(*told["pair"]))})
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what a text does is that pair's alone
            said = f"{type(error).__name__}: {error}"[:500]
            outlet.send({"reason": UnscoredReason.SCORER_ERROR, "said": said})


if __name__ == "__main__":
    main()
