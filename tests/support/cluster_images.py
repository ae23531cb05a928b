"""Where the cluster of the tests has images from: its own node, or the registry that they were pushed to."""

from __future__ import annotations

import os
from typing import Any

from cluster.onenode.up import MINIO_IMAGE
from support.cluster_registry import minio_at

_REGISTRY = os.environ.get("ASSAY_TEST_REGISTRY", "")
_HERE = "localhost"


def image(name: str) -> str:
    """The whole name of an image that `make images` built."""
    return f"{_REGISTRY or _HERE}/assay/{name}:0.1.0"


def platform() -> dict[str, Any]:
    """Values of the chart that name them, with a store that goes with the release."""
    demo: dict[str, Any] = {"enabled": True, "storageClass": "-"}
    if _REGISTRY:
        images = {"registry": _REGISTRY, "pullPolicy": "Always"}
        demo["image"] = minio_at(_REGISTRY)
    else:
        images = {"registry": _HERE, "pullPolicy": "Never"}
        demo["image"] = MINIO_IMAGE
    # Several releases stand side by side on two cores.
    modest = {"resources": {"requests": {"cpu": "10m"}}}
    parts = ("controller", "datasetService", "aggregator", "scorer")
    demo["resources"] = modest["resources"]
    return {
        "images": images,
        "store": {"demo": demo},
        **dict.fromkeys(parts, modest),
    }
