"""What a hostile scoring child can say and leave, and that none of it gets further."""

from __future__ import annotations

import os
import tempfile

import pytest

from assay.domain.completion import Completion, Failure
from assay.domain.errors import ScorerError
from assay.domain.sample import SampleState, UnscoredReason
from assay.rpc.score_client import ScorePrediction
from assay.scorer import spool as spool_module
from assay.scorer.spool import Spool
from assay.scorer.tables import sample_table
from assay.scorer.verdicts import Listener

DONE = {"done": {"metrics": [], "withheld": "", "versions": {}}}


@pytest.fixture
def spool(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool()
    (spool.folder / "out").mkdir()
    yield spool
    spool.remove()
    assert not spool.folder.exists()


def leave(spool, name, data=b"x"):
    (spool.folder / "out" / name).write_bytes(data)


def test_plain_files_are_passed_on_whole(spool):
    leave(spool, "m_MME.xlsx", b"a" * 2_500_000)
    assert spool.published() == ["m_MME.xlsx"]
    pieces = list(spool.pieces("m_MME.xlsx"))
    assert [len(piece) for piece in pieces] == [1_048_576, 1_048_576, 402_848]


@pytest.mark.parametrize(
    "name", ["a.pkl", ".hidden.csv", "evil\n.csv", "run.sh", "-rf.csv"]
)
def test_a_file_of_another_kind_or_name_is_refused(spool, name):
    leave(spool, name)
    with pytest.raises(ScorerError, match="left a file named"):
        spool.published()


def test_a_link_to_a_secret_is_not_followed(spool, tmp_path):
    (tmp_path / "key").write_text("sk-secret")
    (spool.folder / "out" / "a.csv").symlink_to(tmp_path / "key")
    with pytest.raises(ScorerError, match=r"a\.csv cannot be read"):
        list(spool.pieces("a.csv"))


def test_a_second_name_of_another_file_is_refused(spool, tmp_path):
    (tmp_path / "key").write_text("sk-secret")
    os.link(tmp_path / "key", spool.folder / "out" / "a.csv")
    with pytest.raises(ScorerError, match="no plain file"):
        list(spool.pieces("a.csv"))


def test_a_pipe_is_refused_without_waiting_for_a_writer(spool):
    os.mkfifo(spool.folder / "out" / "a.csv")
    with pytest.raises(ScorerError, match="no plain file"):
        list(spool.pieces("a.csv"))


def test_a_folder_of_files_that_is_a_link_is_refused(spool, tmp_path):
    (spool.folder / "out").rmdir()
    (spool.folder / "out").symlink_to(tmp_path)
    with pytest.raises(ScorerError, match="left no folder of files"):
        spool.published()


def test_a_flood_of_files_is_refused(spool):
    for number in range(spool_module.FILE_COUNT_LIMIT + 1):
        leave(spool, f"f{number}.csv")
    with pytest.raises(ScorerError, match="left 65 files"):
        spool.published()


def test_a_huge_file_is_refused(spool):
    leave(spool, "a.csv")
    os.truncate(spool.folder / "out" / "a.csv", spool_module.FILE_LIMIT_BYTES + 1)
    with pytest.raises(ScorerError, match="bytes"):
        list(spool.pieces("a.csv"))


def test_folders_of_killed_scorers_are_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive = (
        tmp_path / "assay-scorer-4194305-x",
        tmp_path / f"assay-scorer-{os.getpid()}-x",
    )
    dead.mkdir()
    alive.mkdir()
    Spool().remove()
    assert (dead.exists(), alive.exists()) == (False, True)


def test_a_dataset_name_cannot_leave_the_folder(spool):
    with pytest.raises(ScorerError, match="cannot be a dataset's name"):
        spool.table_path("../../etc/passwd")


def prediction(ordinal, *, failed=False):
    failure = Failure(reason=UnscoredReason.TIMEOUT, message="") if failed else None
    completion = Completion(
        ordinal=ordinal, text=None if failed else "ours", failure=failure
    )
    return ScorePrediction(
        ordinal=ordinal, sample_id=str(ordinal), completion=completion, worker_id=""
    )


def test_a_failed_sample_stays_unscored_whatever_the_child_says():
    listener = Listener([prediction(0, failed=True)])
    listener.line({"rows": [[None, 1.0, "A", "A", None]]})
    listener.line(DONE)
    verdict = listener.verdicts[0]
    assert (verdict.state, verdict.reason) == (SampleState.UNSCORED, "timeout")
    assert (verdict.score, verdict.extracted) == (None, None)


@pytest.mark.parametrize(
    "row",
    [
        [None, float("inf"), None, None, None],
        [None, None, None, None, None],
        ["made_up_reason", None, None, None, None],
        [None, 1.0, {"a": 1}, None, None],
        [None, 1.0],
        "text",
    ],
)
def test_a_row_that_makes_no_sense_is_an_error(row):
    with pytest.raises(ScorerError, match="said something odd"):
        Listener([prediction(0)]).line({"rows": [row]})


def test_more_rows_than_samples_are_an_error():
    listener = Listener([prediction(0)])
    with pytest.raises(ScorerError, match="said something odd"):
        listener.line({"rows": [[None, 1.0, None, None, None]] * 2})


def test_fewer_rows_than_samples_are_an_error():
    listener = Listener([prediction(0), prediction(1)])
    listener.line({"rows": [[None, 1.0, None, None, None]]})
    listener.line(DONE)
    with pytest.raises(ScorerError, match="decided 1 of 2 samples"):
        listener.outcome({})


def test_halves_of_characters_and_endless_texts_can_be_stored():
    listener = Listener([prediction(0)])
    listener.line({"rows": [[None, 1.0, "\ud800" + "x" * 100_000, None, "c"]]})
    listener.line(DONE)
    assert len(listener.verdicts[0].extracted) == 65_536
    assert sample_table(listener.verdicts)


def test_the_childs_error_keeps_its_words_and_cure():
    listener = Listener([])
    with pytest.raises(ScorerError, match=r"it broke \(mend it\)"):
        listener.line({"error": {"message": "it broke", "cure": "mend it"}})


def test_the_same_verdicts_are_the_same_bytes():
    def table():
        listener = Listener([prediction(0), prediction(1, failed=True)])
        listener.line({"rows": [[None, 0.5, "A", "B", None]] * 2})
        listener.line(DONE)
        return sample_table(listener.verdicts)

    assert table() == table()


def told(**more):
    metric = {"name": "Overall", "split": "none", "value": 0.5, "scale": [0, 1], "n": 4}
    listener = Listener([])
    done = {"metrics": [{**metric, **more}], "withheld": "", "versions": {}}
    listener.line({"done": done})
    return listener.outcome({}).metrics[0]


def test_bounds_and_upstreams_own_value_are_taken_where_they_are_told():
    found = told(bounds=[0.25, 0.75], upstream=None, upstream_reason="needs a judge")
    assert (found.bounds, found.upstream_value) == ((0.25, 0.75), None)
    assert found.upstream_reason == "needs a judge"
    assert told(upstream=0.4).upstream_value == 0.4
    assert told().bounds is None


@pytest.mark.parametrize(
    "odd", [{"bounds": [1, 0]}, {"bounds": [0]}, {"upstream": float("nan")}]
)
def test_bounds_that_make_no_sense_are_an_error(odd):
    with pytest.raises(ScorerError, match="something odd"):
        told(**odd)
