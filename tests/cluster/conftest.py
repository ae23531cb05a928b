"""A cluster that is up, and a namespace of one's own in it that goes with the test."""

import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.cluster_digits import Here, Model
from support.cluster_entered import refused
from support.cluster_installed import Release, at_hand
from support.pods import Namespace

_SECONDS = 300
"""Longer than elsewhere: the first test of a module waits for a release and for whole runs."""


def pytest_collection_modifyitems(items):
    """Gives tests of a cluster their time."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(_SECONDS))


_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def figure(request):
    """Says a figure at the end of the session, whether or not a test fails."""
    return request.config.stash.setdefault(_FIGURES, []).append


def pytest_terminal_summary(terminalreporter, config):
    """What was measured."""
    for line in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(f"figure: {line}")


@pytest.fixture(scope="session", autouse=True)
def _cluster():
    """Never somebody's cluster by accident: only what the make target entered."""
    if why := refused():
        pytest.skip(why)


@pytest.fixture(scope="session")
def node():
    """For what only a node of one's own tells or allows."""
    if not at_hand():
        pytest.skip(
            "needs the node of `make cluster-up`: its record of writes, its containers"
        )


@contextmanager
def empty():
    """An empty namespace that takes restricted pods only."""
    made = Namespace(f"test-{uuid.uuid4().hex[:8]}")
    made.create()
    try:
        yield made
    finally:
        made.delete()


@pytest.fixture
def namespace():
    """A test's own."""
    with empty() as made:
        yield made


@pytest.fixture(scope="session")
def digits():
    """The model that all evaluations here ask, in a namespace of its own."""
    with empty() as made:
        model = Model(made)
        model.start()
        yield model


@pytest.fixture(scope="session")
def here(tmp_path_factory):
    """`assay run` on this machine, for comparison."""
    with Here.served(tmp_path_factory.mktemp("here")) as made:
        yield made


@pytest.fixture(scope="module")
def release():
    """A namespace for a release named demo; the test module installs it as it likes."""
    with empty() as made:
        yield Release(made)


@pytest.fixture(scope="session")
def platform():
    """The platform alone, installed once; evaluations are submitted to it by name."""
    with empty() as made:
        shared = Release(made)
        shared.install()
        yield shared
