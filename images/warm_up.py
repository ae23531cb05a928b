"""Imports what the services of an image import when they start; Dockerfile.control runs it once."""

from __future__ import annotations

import importlib

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
    # Hollow once the shim is in place, and real where MathVision's expressions are compared.
    "latex2sympy2_extended",
    "pyarrow.parquet",
)


def main() -> None:
    """Imports the services, then VLMEvalKit as a sealed child does."""
    for module in SERVICES:
        importlib.import_module(module)
    importlib.import_module("assay.vlmevalkit.shim").install()
    importlib.import_module("assay.vlmevalkit.prepare").warm_up()
    importlib.import_module("assay.vlmevalkit.scoring")
    importlib.import_module("assay.vlmevalkit.scoring_early")
    importlib.import_module("assay.vlmevalkit.scoring_equality")


if __name__ == "__main__":
    main()
