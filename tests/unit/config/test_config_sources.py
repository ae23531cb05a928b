"""The address of a local file is the path it is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from assay.config.source import SourceConfig


@pytest.mark.parametrize("host", ["", "localhost"])
def test_a_file_address_is_a_path(host):
    source = SourceConfig(url=f"file://{host}/data/my%20set.tsv", md5="0" * 32)
    assert (source.path, source.url) == ("/data/my set.tsv", None)


@pytest.mark.parametrize("url", ["file://elsewhere/x.tsv", "file:x.tsv", "FILE:///x"])
def test_a_file_of_another_machine_is_no_address(url):
    with pytest.raises(ValidationError, match=r"http\(s\)"):
        SourceConfig(url=url)


def test_a_file_address_beside_a_path_is_two_places():
    with pytest.raises(ValidationError, match="exactly one"):
        SourceConfig(url="file:///x.tsv", path="/y.tsv")
