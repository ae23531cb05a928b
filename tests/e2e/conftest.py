"""What end-to-end tests of `assay run` share: an endpoint, a desk, a cache, and an undisturbed run."""

import pytest

from support.local_runs import Desk
from support.stub_endpoint import StubEndpoint


@pytest.fixture
def stub():
    """An endpoint of its own for each test."""
    with StubEndpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    """Prepared datasets, shared: preparing is not what these tests are about."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def desk(tmp_path, stub, cache_dir):
    """Sets up a user's desk for so many samples."""
    desks = []

    def set_up(count=40, **changes):
        desks.append(
            Desk.set_up(
                tmp_path / "desk", stub.url, count=count, cache_dir=cache_dir, **changes
            )
        )
        return desks[-1]

    yield set_up
    for each in desks:
        each.leave()
