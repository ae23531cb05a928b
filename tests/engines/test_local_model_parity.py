"""What a local model answers in a worker is what it answers in VLMEvalKit's own loop."""

import sys

import pytest

from support.local_parity import FORMATS, line, run_both

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    result = run_both(tmp_path_factory.mktemp("local"))
    assert result.assay.code == 0, result.assay.said
    return result


@pytest.mark.parametrize("name", FORMATS)
def test_predictions_verdicts_and_tables_are_those_of_vlmevalkits_own_loop(both, name):
    said, equal = line(both, name)
    sys.__stdout__.write(f"\nlocal parity: {said}\n")
    assert equal, said


def test_the_tiny_model_names_what_it_has_not_seen(both):
    figures = both.figures("MMStar")
    assert max(value for value in figures.values() if value is not None) >= 0.9
