"""A cluster that is up, and a namespace of one's own in it that goes with the test."""

import os
import uuid

import pytest

from support.pods import Namespace


@pytest.fixture(scope="session", autouse=True)
def _cluster():
    """Never somebody's cluster by accident: only what the make target entered."""
    if os.environ.get("ASSAY_TEST_CLUSTER") != "1":
        pytest.skip("needs a cluster: `make test-cluster` starts one (root, Linux, Go)")


@pytest.fixture
def namespace():
    """An empty namespace that takes restricted pods only."""
    made = Namespace(f"test-{uuid.uuid4().hex[:8]}")
    made.create()
    yield made
    made.delete()
