"""Several runs of one platform, a refused one, and two releases of one cluster."""

import pytest

from support.cluster_digits import evaluation
from support.cluster_installed import now

TABLE = "Digits80"
FIRST_SECONDS = 30
"""What a user is promised where the images are there; it takes a third of that."""


@pytest.fixture(scope="module")
def two(platform, digits, figure):
    """Two runs of one dataset by two models, at the same time, complete."""
    digits.reset()
    begun = now().timestamp()
    platform.submit("svm", evaluation(digits.base, TABLE))
    platform.submit("lda", evaluation(digits.base, TABLE, models=("digits-lda",)))
    for run in ("svm", "lda"):
        platform.wait(run)
    first = digits.asked().first - begun
    figure(f"from an EvalRun's submission to its first question {first:.1f} s")
    assert 0 < first <= FIRST_SECONDS
    return platform


def test_runs_share_the_platform_and_each_has_its_own_result(two, here):
    svm, lda = (two.results(two.run_id(run)) for run in ("svm", "lda"))
    assert svm == here.results(TABLE)
    assert lda == here.results(TABLE, models=("digits-lda",))


def test_a_dataset_is_prepared_once(two, digits):
    before = two.kept(f"datasets/{TABLE}/")
    assert len([name for name in before if name.endswith("manifest.json")]) == 1
    two.submit("more", evaluation(digits.base, TABLE, retry=4))
    two.wait("more")
    assert two.kept(f"datasets/{TABLE}/") == before


def test_a_refused_evaluation_says_where_why_and_what_helps(platform, digits):
    file = evaluation(digits.base, TABLE, datas=["x"])
    platform.submit("refused", file)
    platform.wait("refused", condition="Accepted=False")
    said = platform.condition("Accepted", "refused")
    assert said["reason"] == "InvalidSpec"
    assert "spec.file.eval_config.datas" in said["message"]
    assert platform.status("refused")["state"] == "Refused"
    assert platform.get("jobs", "-l", "assay.dev/run=refused")["items"] == []


def test_a_file_of_ones_own_machine_is_refused_with_the_cure(platform, digits):
    file = evaluation("http://localhost:8000", TABLE)
    platform.submit("loopback", file)
    platform.wait("loopback", condition="Accepted=False")
    said = platform.condition("Accepted", "loopback")["message"]
    assert "api_base" in said
    assert "serving" in said
