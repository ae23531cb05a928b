"""The page of a run is written at its end; what goes wrong with it is said, and costs no result."""

import pytest

from assay.local.listener import Listener
from assay.local.page import write_page_of


class _Ears(Listener):
    def __init__(self):
        self.heard = []

    def noticed(self, sentence):
        self.heard.append(sentence)


@pytest.mark.parametrize("content", [None, "{}", '{"run": 7, "tasks": 7}'])
def test_a_page_that_cannot_be_drawn_is_said_with_the_command_that_tries_again(
    tmp_path, content
):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    ears = _Ears()
    write_page_of(tmp_path, tmp_path / "cache", ears)
    (sentence,) = ears.heard
    assert "their page could not be written: " in sentence
    assert f"assay report {tmp_path} --html" in sentence
