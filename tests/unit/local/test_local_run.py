"""Which folder the file and the command line together mean."""

from dataclasses import replace
from pathlib import Path

import pytest

from assay.config import Resolved
from assay.domain.errors import ConfigError, NotFoundError
from assay.domain.run import Mode
from assay.local.launch import cache_folder, lmu_folders, s3_access
from assay.local.run import _folder
from support.decisions import run_of
from support.run_folders import pin


def _asked(default_work_dir, /, **changes):
    fields = {"use_cache": None, "reuse": False, "no_timestamp": False}
    fields |= {"work_dir": default_work_dir, **changes}
    return Resolved(run=run_of(), secrets={}, **fields)


def test_a_new_run_gets_a_folder_below_work_dir(tmp_path):
    folder = _folder(_asked(tmp_path), None, resume=False)
    assert (folder.path.parent, folder.going_on) == (tmp_path, False)


def test_no_timestamp_means_work_dir_itself_and_only_once(tmp_path):
    asked = _asked(tmp_path / "out", no_timestamp=True)
    assert _folder(asked, None, resume=False).path == tmp_path / "out"
    with pytest.raises(ConfigError, match="not empty"):
        _folder(asked, None, resume=False)
    assert _folder(asked, None, resume=True).path == tmp_path / "out"


def test_no_timestamp_with_reuse_goes_on_with_the_run_that_is_there(tmp_path):
    asked = _asked(tmp_path / "out", no_timestamp=True, reuse=True)
    assert not _folder(asked, None, resume=False).going_on
    pin(tmp_path / "out", asked.run)
    assert _folder(asked, None, resume=False).going_on


def test_scoring_takes_the_folder_that_is_named_in_any_way(tmp_path):
    run = replace(run_of(), mode=Mode.EVAL)
    pin(tmp_path / "out", run)

    def found(run_dir=None, *, resume=False, **changes):
        asked = replace(_asked(tmp_path, **changes), run=run)
        return _folder(asked, run_dir, resume=resume).path

    out = tmp_path / "out"
    assert found(out) == found(use_cache=out) == found(resume=True) == out
    assert found(work_dir=out, no_timestamp=True) == out
    with pytest.raises(ConfigError, match="no earlier run is named"):
        found()
    with pytest.raises(NotFoundError, match="there is no run in it"):
        found(tmp_path / "new")


def test_use_cache_goes_on_with_the_run_it_names(tmp_path):
    first = _folder(_asked(tmp_path), None, resume=False)
    again = _asked(tmp_path, use_cache=first.path, reuse=True)
    assert _folder(again, None, resume=False).path == first.path
    with pytest.raises(NotFoundError):
        _folder(_asked(tmp_path, use_cache=tmp_path / "no"), None, resume=False)


def test_a_run_dir_beats_everything_else(tmp_path):
    asked = _asked(tmp_path, use_cache=tmp_path / "no", no_timestamp=True)
    assert _folder(asked, tmp_path / "mine", resume=False).path == tmp_path / "mine"


def test_places_come_from_the_environment(tmp_path):
    environ = {"ASSAY_CACHE": str(tmp_path), "LMUData": str(tmp_path)}
    assert cache_folder(environ) == tmp_path
    assert lmu_folders(environ)[0] == tmp_path
    assert lmu_folders({"LMUData": "/nowhere"})[0] == Path.home() / "LMUData"


def test_s3_is_read_with_awss_own_variables():
    environ = {
        "AWS_ENDPOINT_URL": "http://minio:9000",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    access = s3_access(environ)
    assert (access.endpoint, access.secure) == ("minio:9000", False)
    assert access.secret_key.get_secret_value() == "secret"
    assert s3_access({}).access_key is None
