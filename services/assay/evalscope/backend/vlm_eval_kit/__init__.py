"""`evalscope.backend.vlm_eval_kit`: what scripts ask the backend before they run anything."""

from __future__ import annotations

from assay.domain import catalog


class VLMEvalKitBackendManager:
    """What EvalScope calls its way to VLMEvalKit."""

    @staticmethod
    def list_supported_datasets() -> list[str]:
        """The documented dataset names that can be evaluated here, sorted.

        `assay datasets list` says why the others cannot. A dataset of one's own needs no name here.
        """
        entries = (catalog.lookup(name) for name in catalog.names())
        return [entry.name for entry in entries if entry and entry.supported]
