"""An EvalRun is admitted as `assay run` admits its file, or refused with path and cure."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.controller.conditions import EvalRunStatus
from assay.controller.evalrun import admitted, read, run_id
from assay.domain.errors import ConfigError
from support.evalruns import FILE, evalrun, file_with

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


def refusal(item) -> str:
    error = admitted(item).refusal
    assert error is not None
    return str(error)


def model(**changes):
    return FILE["eval_config"]["model"][0] | changes


def test_an_evalrun_becomes_the_run_of_its_file() -> None:
    request = read(evalrun(keysSecret="keys", ttlSecondsAfterFinished=60))
    assert [model.key for model in request.run.models] == ["My_Model", "other"]
    assert [dataset.name for dataset in request.run.datasets] == ["MMStar", "OCRBench"]
    assert (request.keys_secret, request.ttl, request.suspend) == ("keys", 60, False)


def test_what_can_change_a_result_names_another_execution() -> None:
    first = read(evalrun())
    assert read(evalrun(file_with(limit=5))).run_id != first.run_id
    assert read(evalrun(FILE | {"fresh": "again"})).run_id != first.run_id


@pytest.mark.parametrize(
    "other",
    [
        {"suspend": True},
        {"ttlSecondsAfterFinished": 5},
        {"keysSecret": "others"},
        {"placement": {"models": {"other": {"replicas": 3}}}},
        {"placement": {"models": {"other": {"resources": {"limits": {"cpu": 1}}}}}},
        {"placement": {"images": {"worker": "w:2"}}},
    ],
)
def test_what_cannot_change_a_result_names_none(other) -> None:
    assert read(evalrun(**other)).run_id == read(evalrun()).run_id


def test_a_run_id_fits_wherever_it_stands() -> None:
    for name in ("demo", "a.b.c", "x" * 253, "a-very-long-name-of-an-evalrun", "9"):
        made = run_id(name, "0123456789abcdef")
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", made)
        assert len(made) <= 33


def test_evalruns_of_similar_names_never_share_a_run_id() -> None:
    names = ["a.b", "a-b", "x" * 30, "x" * 31, "x" * 24]
    assert len({run_id(name, "0" * 16) for name in names}) == len(names)


def test_an_unchanged_generation_keeps_the_answer_it_had() -> None:
    first = admitted(evalrun())
    assert admitted(evalrun(file_with(limit=5)), first) is first
    assert admitted(evalrun(file_with(limit=5), generation=2), first) is not first


def test_a_deleted_and_newly_made_evalrun_is_admitted_anew() -> None:
    first = admitted(evalrun(name="one"))
    assert admitted(evalrun(name="two"), first) is not first


def test_a_refusal_names_the_path_below_spec_the_reason_and_the_cure() -> None:
    told = refusal(evalrun(file_with(datta=["MMStar"])))
    assert "spec.file.eval_config.datta: is not a known key (did you mean" in told


def test_everything_that_is_refused_is_said_at_once() -> None:
    told = refusal(evalrun(file_with(data=["Nonsense", "Neither"])))
    assert "eval_config.data[0]" in told
    assert "eval_config.data[1]" in told


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": [model(key="sk-1")]}, r"model\[0\].key: is a secret.* as model.0 "),
        ({"OPENAI_API_KEY": "sk-1"}, "OPENAI_API_KEY: is a secret.* as judge "),
        (
            {"model": [model(api_base="http://localhost:8000/v1/chat/completions")]},
            r"model\[0\].api_base: localhost is a pod's own address",
        ),
    ],
)
def test_what_only_one_machine_has_is_refused_with_the_cure(changes, said) -> None:
    told = refusal(evalrun(file_with(**changes)))
    assert re.search(said, told)
    assert "sk-1" not in told


@pytest.mark.parametrize("source", [{"path": "x.tsv"}, {"url": "file:///x.tsv"}])
def test_a_dataset_on_somebodys_disk_is_refused(source) -> None:
    told = refusal(evalrun(FILE | {"dataset_sources": {"MMStar": source}}))
    assert "names a file of one machine" in told


@given(key=JSON, model=JSON, data=JSON, sources=JSON, placement=JSON)
@settings(max_examples=60, deadline=None)
def test_whatever_a_user_writes_is_admitted_or_refused_and_never_an_accident(
    key, model, data, sources, placement
) -> None:
    entry = FILE["eval_config"]["model"][0]
    for file in (
        file_with(model=[entry | {"key": key, "temperature": model}]),
        file_with(model=model, data=data, OPENAI_API_KEY=key),
        file_with() | {"dataset_sources": sources},
    ):
        given = placement if isinstance(placement, dict) else {"models": placement}
        told = admitted(evalrun(file, placement=given))
        assert (told.request is None) != (told.refusal is None)


def test_a_status_that_another_version_wrote_is_written_anew() -> None:
    assert evalrun(status={"tasks": [{"model": 5}]}).told() == EvalRunStatus()
    assert evalrun(status={"runId": "r", "newer": 1}).told().run_id == "r"


def test_a_key_that_says_there_is_none_is_no_secret() -> None:
    assert read(evalrun(file_with(model=[model(key="EMPTY")]))).run.models


def test_a_dead_endpoint_is_waited_for_unless_the_file_names_a_patience() -> None:
    assert read(evalrun()).run.endpoint_patience == 10**9
    impatient = read(evalrun(FILE | {"endpoint_patience": 5}))
    assert impatient.run.endpoint_patience == 5


@pytest.mark.parametrize(
    ("placement", "said"),
    [
        (
            {"gpuResorce": "x"},
            "spec.placement.gpuResorce: is not a known key (did you mean `gpuResource`?)",
        ),
        (
            {"models": {"other": {"nodeSelecter": {}}}},
            "models.other.nodeSelecter: is not a known key (did you mean `nodeSelector`?)",
        ),
        ({"images": {"pullPolicy": "Sometimes"}}, "images.pullPolicy"),
        ({"models": {"nobody": {}}}, "models.nobody: is no model of this run"),
        ({"models": {"other": {"replicas": 0}}}, "models.other.replicas"),
        ({"models": {"other": {"replica": 2}}}, "models.other.replica"),
        ({"judge": {"replicas": 2}}, "judge: no judge is asked"),
        ({"gpuPhases": "both"}, "gpuPhases"),
    ],
)
def test_a_placement_that_cannot_be_is_refused_with_its_path(placement, said) -> None:
    with pytest.raises(ConfigError) as refused:
        read(evalrun(placement=placement))
    assert said in str(refused.value)
