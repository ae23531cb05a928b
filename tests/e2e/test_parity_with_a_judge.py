"""With a judge, a whole `assay run` sends, keeps, asks and scores what real VLMEvalKit does."""

import sys
from contextlib import ExitStack

import pytest

from support.judged_parity import run_judged_both
from support.judged_tables import JUDGED

pytestmark = [pytest.mark.e2e, pytest.mark.peer, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    with ExitStack() as stack:
        yield run_judged_both(folder, [*JUDGED], stack)


@pytest.mark.parametrize("name", JUDGED)
def test_requests_judge_requests_verdicts_and_tables_are_vlmevalkits(
    both, name, capsys
):
    found = both.differing(name)
    with capsys.disabled():
        told = ", ".join(
            f"{of - len(apart)}/{of} {what}" for what, (of, apart) in found.items()
        )
        sys.stdout.write(f"\njudged parity {name} ({JUDGED[name].what}): {told}\n")
    assert {what: apart[:3] for what, (_, apart) in found.items() if apart} == {}
    assert all(of for of, _ in found.values())


def test_the_default_judges_name_is_vlmevalkits(both):
    labels = {name: both.both.told(name)["judge"] for name in JUDGED}
    tasks = {name: both.both.assay.task(name)["judge"]["name"] for name in JUDGED}
    assert tasks == labels
