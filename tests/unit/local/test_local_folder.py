"""Which folder a run lives in, and every refusal of one, in words."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from assay.domain.errors import (
    ConfigError,
    ConflictError,
    NotFoundError,
    StoreFullError,
)
from assay.domain.run import Dataset, Mode
from assay.domain.task import TaskId
from assay.local.folder import (
    differing_fields,
    folder_to_resume,
    folder_to_score,
    keeps_answers,
    new_folder,
    newest_to_score,
    newest_unfinished,
    timestamped_folder,
)
from assay.store import keys
from assay.store.folder import FolderStore
from support.decisions import model, run_of
from support.run_folders import pin

RUN = run_of()


def _pin(folder, run=RUN, **changes):
    return pin(folder, run, **changes)


def _end(folder, state, mode="all"):
    task = {"counts": {"predicted": 3 if mode == "infer" else 0}}
    report = {"run": {"state": state}, "settings": {"mode": mode}, "tasks": [task]}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def test_two_runs_of_one_second_get_two_folders(tmp_path):
    first, second = (timestamped_folder(RUN, tmp_path) for _ in range(2))
    assert first.path != second.path
    assert first.run_id != second.run_id
    assert (first.path / "logs").is_dir()


def test_a_folder_that_is_not_empty_is_refused_with_the_cure(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match="not empty") as refused:
        new_folder(RUN, tmp_path)
    assert "--resume" in refused.value.cure
    assert "reuse: true" in refused.value.cure


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        new_folder(RUN, tmp_path / "file")


@pytest.mark.parametrize("make", [new_folder, timestamped_folder])
def test_a_place_that_cannot_be_written_is_named(make):
    with pytest.raises(StoreFullError, match="/proc/nowhere") as refused:
        make(RUN, Path("/proc/nowhere"))
    assert "--run-dir" in refused.value.cure


def test_an_equal_run_goes_on_under_its_first_name(tmp_path):
    folder = folder_to_resume(RUN, _pin(tmp_path / "first"))
    assert (folder.run_id, folder.going_on) == ("first", True)


def test_what_cannot_change_a_result_may_change(tmp_path):
    other = replace(
        RUN, endpoint_patience=1.0, mode=Mode.INFER, models=(model(nproc=64),)
    )
    assert folder_to_resume(other, _pin(tmp_path)).going_on


def test_another_run_is_refused_naming_the_fields_that_differ(tmp_path):
    other = replace(RUN, limit=3)
    with pytest.raises(ConflictError, match="limit differs"):
        folder_to_resume(other, _pin(tmp_path))


def test_who_may_not_go_on_is_told_to_start_a_new_run(tmp_path):
    with pytest.raises(ConflictError) as refused:
        folder_to_resume(replace(RUN, limit=3), _pin(tmp_path))
    assert "or start a new run: without --resume" in refused.value.cure


def test_only_answers_count_as_kept(tmp_path):
    assert not keeps_answers(_pin(tmp_path))
    task = TaskId("m", "d")
    store = FolderStore(tmp_path, tmp_path)
    store.put(keys.task("run", task, "task.json"), b"{}")
    assert not keeps_answers(tmp_path)
    store.put(keys.segment("run", task, 1, 0), b"answers")
    assert keeps_answers(tmp_path)


def test_differences_are_named_by_path():
    colder = replace(
        model(), decoding=replace(model().decoding, temperature=0.5), revision="b"
    )
    new = replace(RUN, models=(colder,), limit=3, datasets=(Dataset(name="x"),))
    assert differing_fields(RUN, new) == [
        "datasets",
        "limit",
        "models.m.decoding.temperature",
        "models.m.revision",
    ]


def test_an_empty_folder_has_no_run_to_go_on_with(tmp_path):
    with pytest.raises(NotFoundError, match="no run in it"):
        folder_to_resume(RUN, tmp_path)


def test_the_newest_unfinished_run_of_this_file_goes_on(tmp_path):
    _pin(tmp_path / "a", started="2026-01-01T00:00:00Z")
    _end(_pin(tmp_path / "b", started="2026-01-02T00:00:00Z"), "BELOW_COVERAGE")
    _end(_pin(tmp_path / "c", started="2026-01-03T00:00:00Z"), "COMPLETE")
    _pin(tmp_path / "d", run=replace(RUN, limit=1), started="2026-01-04T00:00:00Z")
    (tmp_path / "e").mkdir()
    assert newest_unfinished(RUN, tmp_path).path == tmp_path / "b"


def test_a_run_that_only_inferred_is_unfinished_for_who_wants_it_scored(tmp_path):
    _end(_pin(tmp_path / "a"), "COMPLETE", mode="infer")
    assert newest_unfinished(RUN, tmp_path).path == tmp_path / "a"
    with pytest.raises(NotFoundError, match="no unfinished run"):
        newest_unfinished(replace(RUN, mode=Mode.INFER), tmp_path)


def test_the_newest_run_is_scored_again_even_if_it_was_scored(tmp_path):
    _pin(tmp_path / "a", started="2026-01-01T00:00:00Z")
    _end(_pin(tmp_path / "b", started="2026-01-02T00:00:00Z"), "COMPLETE")
    scoring = replace(RUN, mode=Mode.EVAL)
    assert newest_to_score(scoring, tmp_path).path == tmp_path / "b"
    with pytest.raises(NotFoundError, match="no answers to score"):
        newest_to_score(replace(scoring, limit=7), tmp_path)


@pytest.mark.parametrize("name", ["m_d.xlsx", "notes.txt"])
def test_a_folder_without_a_run_cannot_be_scored(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(NotFoundError, match="no run in it") as refused:
        folder_to_score(replace(RUN, mode=Mode.EVAL), tmp_path)
    assert ("VLMEvalKit" in refused.value.cure) == name.endswith("xlsx")


@pytest.mark.parametrize(
    "find", [newest_unfinished, lambda run, p: folder_to_resume(run, p / "a")]
)
def test_a_run_that_ended_before_it_was_accepted_begins_anew_in_its_folder(
    tmp_path, find
):
    new_folder(RUN, tmp_path / "a")
    folder = find(RUN, tmp_path)
    assert (folder.path, folder.going_on) == (tmp_path / "a", False)


def test_no_unfinished_run_is_said(tmp_path):
    with pytest.raises(NotFoundError, match="no unfinished run"):
        newest_unfinished(RUN, tmp_path / "nowhere")
