"""The start-up contract every `<service>/main.py` keeps.

A driver starts `python -m assay.<service>.main --config-fd N`: descriptor N holds one JSON document,
the process's whole config, secrets included, so that nothing secret stands in argv, in the environment
or on disk. `--config FILE` reads the same document from a file. When a service listens it writes one
line `{"address": "host:port"}` to `ready_fd` and closes it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from assay.domain.errors import ConfigError


class ExitCode(IntEnum):
    """What an exit code of ours means, for drivers and Jobs.

    RETRY: this process must go, its work must not (75 is sysexits' EX_TEMPFAIL).
    HELD: somebody else holds the run.
    """

    OK = 0
    FAILED = 1
    BAD_CONFIG = 2
    BELOW_COVERAGE = 3
    HELD = 4
    RETRY = 75


class ProcessConfig(BaseModel):
    """What every process of ours is told; services extend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr
    """Bearer token of all calls between the processes of one driver."""
    ready_fd: int | None = None
    """Where to write the address once listening; None: nobody waits for it."""
    die_with_parent: bool = False
    """Ask the kernel for SIGKILL when the starter dies (local driver only)."""
    log_file: Path | None = None
    """JSON log lines are appended here; None: standard error."""


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
    """Empty (with `access_key`): anonymous."""
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
    options = parser.parse_args(argv)
    try:
        if options.config is not None:
            text = options.config.read_text()
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


def die_with_parent() -> None:
    """Asks the kernel to kill this process when its parent ends; exits if the parent has ended already.

    Does nothing outside Linux: there the driver's own clean-up is all there is.
    """
    if not sys.platform.startswith("linux"):
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() == 1:
        sys.exit(ExitCode.RETRY)


def announce_ready(config: ProcessConfig, address: str) -> None:
    """Tells the starter where this process listens."""
    if config.ready_fd is None:
        return
    with os.fdopen(config.ready_fd, "w") as stream:
        stream.write(json.dumps({"address": address}) + "\n")
