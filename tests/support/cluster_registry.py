"""`python -m support.cluster_registry HOST/PATH`: pushes MinIO, which the demo store of the chart runs.

`make test-cluster` with a REGISTRY calls it; on our own node the image is made without a registry
(`cluster.onenode.images`). Everything else that a foreign cluster pulls comes from `images.build --push`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from images.engine import find_engine

from support.binaries import binary, build

_RECIPE = """\
FROM scratch
COPY minio /minio
COPY --chmod=1777 tmp /tmp
ENTRYPOINT ["/minio"]
"""


def minio_at(registry: str) -> str:
    """The image's name in a registry."""
    return f"{registry}/assay/minio:1"


def push(registry: str) -> None:
    """Builds it from the binary that tests run against, and pushes it."""
    build("minio")
    engine = find_engine()
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        shutil.copy2(binary("minio"), context / "minio")
        (context / "tmp").mkdir()
        (context / "Dockerfile").write_text(_RECIPE)
        engine.build(context / "Dockerfile", context, minio_at(registry))
    engine.push(minio_at(registry))


if __name__ == "__main__":
    push(*sys.argv[1:])
