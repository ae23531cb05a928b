"""Values that can be installed."""

import pytest

from support import chart_values
from support.binaries import MissingError, binary


@pytest.fixture(scope="session", autouse=True)
def _helm():
    try:
        binary("helm")
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def platform():
    """The platform alone, with the demo store."""
    return chart_values.platform()


@pytest.fixture
def evaluation():
    """An evaluation on it."""
    return chart_values.evaluation()
