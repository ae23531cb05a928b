"""A process's config says who it is when it calls and whom it believes; both or neither is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from assay.domain.errors import UnavailableError
from assay.process.contract import ClusterCallers, ServerConfig
from assay.process.token_file import TokenFile
from assay.rpc.cluster_tokens import ServiceAccountTokens
from assay.rpc.credentials import authenticator, token_source

CALLERS = ClusterCallers(
    issuer="i", keys_url="https://api/keys", platform="ns/r", accounts={"infer": "s"}
)


def test_a_token_file_is_read_again_once_it_may_have_changed(tmp_path):
    now, path = [0.0], tmp_path / "token"
    path.write_text("first\n")
    source = TokenFile(path, clock=lambda: now[0])
    assert source() == "first"
    path.write_text("second\n")
    assert source() == "first"
    now[0] = 10.0
    assert source() == "second"


def test_a_token_file_that_is_gone_is_worth_another_try(tmp_path):
    with pytest.raises(UnavailableError, match="cannot read the token"):
        TokenFile(tmp_path / "none")()


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"token": "t", "token_file": "/f"},
        {"token_file": "/f"},
    ],
)
def test_a_server_without_a_way_to_tell_callers_apart_does_not_start(words):
    with pytest.raises(ValidationError, match="token_file"):
        ServerConfig(**words)


async def test_a_server_on_one_machine_believes_the_holders_of_its_token():
    config = ServerConfig(token="t")
    assert token_source(config)() == "t"
    assert (await authenticator(config).caller("t")).role is None


def test_a_server_in_a_cluster_believes_service_accounts(tmp_path):
    config = ServerConfig(token_file=tmp_path / "token", callers=CALLERS)
    assert isinstance(authenticator(config), ServiceAccountTokens)
