"""The committed catalog is what the installed VLMEvalKit's own tables say."""

from __future__ import annotations

import json
import subprocess
import sys

from assay.vlmevalkit import catalog


def test_the_committed_catalog_equals_upstreams_tables():
    # A process of its own: the shim must be in place before anything imports vlmeval.
    code = (
        "import json; from assay.vlmevalkit import catalog; "
        "print('\\n' + json.dumps(catalog.rows()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(
        catalog.TARGET.read_text("utf-8")
    )
