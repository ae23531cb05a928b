"""The start-up contract every `<service>/main.py` keeps.

A driver starts `python -m assay.<service>.main --config-fd N`: descriptor N holds one JSON document,
the process's whole config, secrets included, so that nothing secret stands in argv, in the environment
or on disk. `--config FILE` reads the same document from a file, `--config-env NAME` from a variable (for
configs that hold paths of secrets, not secrets). When a service listens it writes one
line `{"address": "host:port"}` to `ready_fd` and closes it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from assay.domain.errors import ConfigError


class ExitCode(IntEnum):
    """What an exit code of ours means, for drivers and Jobs.

    RETRY: this process must go, its work must not (75 is sysexits' EX_TEMPFAIL).
    HELD: somebody else holds the run.
    BELOW_THRESHOLD: a score misses what `assay report --threshold` asks for.
    """

    OK = 0
    FAILED = 1
    BAD_CONFIG = 2
    BELOW_COVERAGE = 3
    HELD = 4
    BELOW_THRESHOLD = 5
    RETRY = 75


class ChannelTls(BaseModel):
    """How a client knows that a server is ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_file: Path
    """The authority that signed the servers' certificates."""
    server_name: str = ""
    """The name in the certificate where the address has another; empty: they agree."""


class ServerTls(BaseModel):
    """How a server proves that it is ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate_file: Path
    key_file: Path
    health_listen: str = ""
    """host:port of health without TLS, for probes that speak none; empty: nowhere."""


class ClusterCallers(BaseModel):
    """Whom a server in a cluster believes: service accounts, by their projected tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    """The cluster's `iss`."""
    keys_url: str
    """Where the cluster publishes its keys: `https://<API server>/openid/v1/jwks`."""
    ca_file: Path | None = None
    """Who signed the API server's certificate; None: those the system trusts."""
    platform: str
    """`<namespace>/<release>`, in the audience of the platform's own parts."""
    accounts: Mapping[str, str]
    """Subject (`system:serviceaccount:<namespace>:<name>`) of each role."""


class ProcessConfig(BaseModel):
    """What every process of ours is told; services extend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr = SecretStr("")
    """Bearer token of all calls between the processes of one driver; empty: `token_file` holds it."""
    token_file: Path | None = None
    """Holds the token of this process's calls; read again before it expires."""
    tls: ChannelTls | None = None
    """How servers are known; None: calls are not encrypted (loopback)."""
    ready_fd: int | None = None
    """Where to write the address once listening; None: nobody waits for it."""
    die_with_parent: bool = False
    """Ask the kernel for SIGKILL when the starter dies (local driver only)."""
    log_file: Path | None = None
    """JSON log lines are appended here; None: standard error."""

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if bool(self.token.get_secret_value()) == (self.token_file is not None):
            raise ValueError("give token or token_file, not both")
        return self


class ServerConfig(ProcessConfig):
    """What a process that listens is told besides."""

    listen: str = "127.0.0.1:0"
    """host:port; port 0 takes a free one."""
    server_tls: ServerTls | None = None
    """None: calls are taken unencrypted (loopback)."""
    callers: ClusterCallers | None = None
    """Who may call; None: whoever has `token`."""
    metrics_listen: str = ""
    """host:port of `GET /metrics`, plain HTTP; empty: nowhere."""

    @model_validator(mode="after")
    def _some_callers(self) -> Self:
        if self.listen and self.callers is None and self.token_file is not None:
            raise ValueError("a server with a token_file needs callers")
        return self


class FolderStoreConfig(BaseModel):
    """A store in folders: what runs share in `cache`, what one run leaves in `run_dir`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache: Path = Field(description="raw sources and prepared datasets")
    run_dir: Path | None = Field(
        default=None, description="the run's folder; None: no run"
    )


class S3StoreConfig(BaseModel):
    """A store in a bucket of any S3 endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str
    """host[:port], without a scheme."""
    bucket: str
    prefix: str
    """Everything stands below it: `<namespace>/<release>`."""
    owner: str
    """Who may use the prefix; another one's is refused."""
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    """Empty (with `access_key`): anonymous, unless `credentials` names a folder."""
    credentials: Path | None = None
    """A folder with the files `access-key` and `secret-key`, read again when they change."""
    create_bucket: bool = False
    """Make the bucket when the prefix is claimed: for a store that is made with us."""
    secure: bool = True
    """Use TLS, verified."""
    ca_file: Path | None = None
    """The authority that signed the endpoint's certificate; None: those the system trusts."""
    region: str = "us-east-1"
    url_seconds: float = 3600.0
    """How long an address handed to a worker can be opened."""
    connect_seconds: float = 15.0
    """Longest wait for a connection, and for the endpoint to take one part of 8 MiB."""
    read_seconds: float = 30.0
    """Longest silence while the endpoint answers."""


ConfigT = TypeVar("ConfigT", bound=ProcessConfig)


def document_of(config: BaseModel) -> bytes:
    """A process's config as the JSON document it reads, secrets revealed."""

    def plain(value: object) -> object:
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        return str(value)

    return json.dumps(config.model_dump(), default=plain).encode()


def load_config(cls: type[ConfigT], argv: list[str] | None = None) -> ConfigT:
    """Reads the process's config as the command line says, and ties its life to its parent's if asked.

    Raises:
        ConfigError: the document cannot be read or does not fit `cls`.
    """
    parser = argparse.ArgumentParser(description=cls.__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--config-fd", type=int, help="descriptor that holds the config as JSON"
    )
    where.add_argument("--config", type=Path, help="file that holds the config as JSON")
    where.add_argument(
        "--config-env", metavar="NAME", help="variable that holds the config as JSON"
    )
    options = parser.parse_args(argv)
    try:
        if options.config is not None:
            text = options.config.read_text()
        elif options.config_env is not None:
            text = os.environ.pop(options.config_env, "")
        else:
            with os.fdopen(options.config_fd) as stream:
                text = stream.read()
        config = cls.model_validate_json(text)
    except (OSError, ValidationError) as error:
        # A validation error would quote the input, and the input holds secrets.
        why = (
            "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            )
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise ConfigError(
            "process config", why, "start this process by its driver"
        ) from None
    if config.die_with_parent:
        die_with_parent()
    return config


def die_with_parent(parent: int | None = None) -> None:
    """Asks the kernel to kill this process when its parent ends; exits if the parent has ended already.

    Does nothing outside Linux: there the driver's own clean-up is all there is.

    Args:
        parent: its process id, where that may be 1, as it is in a container; None: it is another.
    """
    if not sys.platform.startswith("linux"):
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() == 1 and parent != 1:
        sys.exit(ExitCode.RETRY)


def announce_ready(config: ProcessConfig, address: str) -> None:
    """Tells the starter where this process listens."""
    if config.ready_fd is None:
        return
    with os.fdopen(config.ready_fd, "w") as stream:
        stream.write(json.dumps({"address": address}) + "\n")
