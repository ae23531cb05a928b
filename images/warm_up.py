"""Imports what the services of an image import when they start; Dockerfile.control runs it once per image.

`--services`: without what only a score is computed with, which is not there.
"""

from __future__ import annotations

import importlib
import sys

SERVICES = (
    "assay.aggregator.main",
    "assay.aggregator.page",
    "assay.checkup.main",
    "assay.controller.main",
    "assay.dataset.child",
    "assay.dataset.main",
    "assay.kube.lease",
    "assay.kube.mirror",
    "assay.scorer.main",
    "assay.store.s3",
    "pyarrow.parquet",
)
# Hollow once the shim is in place, and real where MathVision's expressions are compared.
COMPARED_WITH = "latex2sympy2_extended"


def main() -> None:
    """Imports the services, then VLMEvalKit as a sealed child does."""
    for module in SERVICES:
        importlib.import_module(module)
    scores = "--services" not in sys.argv
    if scores:
        importlib.import_module(COMPARED_WITH)
    importlib.import_module("assay.vlmevalkit.shim").install()
    importlib.import_module("assay.vlmevalkit.prepare").warm_up()
    importlib.import_module("assay.vlmevalkit.scoring")
    importlib.import_module("assay.vlmevalkit.scoring_early")
    if scores:
        importlib.import_module("assay.vlmevalkit.scoring_equality")


if __name__ == "__main__":
    main()
