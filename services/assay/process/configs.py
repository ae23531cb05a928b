"""What each process of ours is told; here, so that a driver can write configs without importing services."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from assay.process.contract import (
    FolderStoreConfig,
    ProcessConfig,
    S3StoreConfig,
    ServerConfig,
)

StoreConfig = Annotated[
    FolderStoreConfig | S3StoreConfig, Field(union_mode="left_to_right")
]
"""Where objects stand; which of the two it is shows in its fields."""


class InferConfig(ServerConfig):
    """Starts a worker that asks one model about the samples of one queue.

    It serves WorkerService unless `listen` is empty: in a pod it could not tell who calls, for it has no
    token that the API server believes.
    """

    aggregator: str
    """host:port of WorkService."""
    run_id: str
    queue: str
    """The queue to draw from: the model's key."""
    worker_id: str = ""
    """Unique per process; `<seat>#<incarnation>` where a seat never has two workers at once. Empty: the
    host is the seat."""
    model: dict[str, Any] = Field(description="assay.domain.run.Model as JSON")
    api_key: SecretStr = SecretStr("EMPTY")
    """Sent to the endpoint; `EMPTY` is what VLMEvalKit sends when none is given."""
    api_key_file: Path | None = None
    """Holds the key instead; None: `api_key` is it."""
    store_ca_file: Path | None = None
    """The authority that signed the store's certificate; None: those the system trusts."""
    aggregator_patience: float = 600.0
    """Seconds without an answer of the aggregator after which the worker exits RETRY."""
    drain_seconds: float = 20.0
    """Seconds that requests in flight may still take after SIGTERM."""


class AggregatorConfig(ServerConfig):
    """The aggregator of one run, or of all runs of a release."""

    store: StoreConfig
    """A folder's `run_dir` must be set."""
    run_id: str = ""
    """The one run it serves: taken over at once where the store holds it already. Empty: any number."""
    spool: Path | None = None
    """Where files rest on their way into the store; emptied at the start. None: in the run's folder."""
    lease_seconds: float = 30.0
    """A worker that was not heard of for so long loses its leases."""
    lock: Literal["flock", "deadline", "lease"] = "flock"
    """How runs are claimed: `flock` on one machine, `deadline` where a file lock does not reach, `lease`
    by a Lease of the cluster that this process runs in."""
    lease: str = ""
    """`lease` only: the Lease's name, in the pod's own namespace."""
    service_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """`lease` only: the folder with the pod's `token` for the API server, `ca.crt` and `namespace`."""
    lock_file: Path | None = None
    """`flock` and `deadline`: the claim; None: in the run's folder."""
    lock_seconds: float = 15.0
    """`deadline` and `lease`: how long a claim lasts without being renewed."""
    stop_grace: float = 10.0
    """Seconds that calls in flight get at SIGTERM."""


class PageConfig(ProcessConfig):
    """Draws the page of one run that ended, out of a store and into it."""

    store: StoreConfig
    run_id: str
    spool: Path
    """A folder for files on their way."""


class S3Config(BaseModel):
    """An S3 endpoint that datasets may be fetched from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str
    """host[:port], without a scheme."""
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    """None (with `access_key`): anonymous reads."""
    secure: bool = True
    """Use TLS, verified."""
    region: str | None = None


class DatasetConfig(ServerConfig):
    """Fetches, verifies and prepares datasets into the shared cache."""

    store: StoreConfig
    """Of a folder only `cache` is used."""
    work: Path | None = None
    """Where files are downloaded and prepared. None: in the store's `cache`."""
    lmu_data: tuple[Path, ...] = ()
    """Folders that may hold `<name>.tsv` already (VLMEvalKit's `$LMUData`); the first with the file wins."""
    s3: S3Config | None = None
    """None: `s3://` sources are refused with the cure."""
    unsealed: bool = False
    """Prepare without file rules and system-call filter: the user asked for it."""
    stop_grace: float = 5.0
    """Seconds that calls in flight get at SIGTERM."""


class ScorerConfig(ProcessConfig):
    """Scores one task of a run: upstream's `evaluate()` in a sealed child."""

    aggregator: str
    """host:port of ScoreService."""
    run_id: str
    model: str
    """The model's key."""
    dataset: str
    unsealed: bool = False
    """Run upstream's code without file rules and system-call filter; the report says so."""
    time_limit_seconds: float = 3600.0
    """Wall clock of the sealed child."""
    memory_limit_bytes: int = 4096 * 1024 * 1024
    """Address space of the sealed child; imports alone take about 400 MiB of it."""
    aggregator_patience: float = 600.0
    """Seconds without an answer of the aggregator after which the scorer exits RETRY."""


class ControllerConfig(ServerConfig):
    """Starts the controller of one release; it serves health alone."""

    namespace: str
    release: str
    """EvalRuns of its namespace that carry its label are its own."""
    aggregator: str
    """host:port of WorkService, RunService and ScoreService."""
    datasets: str
    """host:port of DatasetService."""
    tls_secret: str
    """The Secret with the services' `ca.crt`, of which pods of Jobs mount that alone."""
    store_ca_secret: str = ""
    """The Secret whose `ca.crt` signed the store's certificate; empty: a public authority did."""
    images: dict[str, Any] = Field(
        description="`spec.placement.images` of an EvalRun that names none"
    )
    lease: str = ""
    """The Lease, in the pod's own namespace, by which one of several controllers acts."""
    lease_seconds: int = 15
    """How long nobody acts after a controller was killed."""
    service_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """The folder with the pod's `token` for the API server, `ca.crt` and `namespace`."""
    store: str = ""
    """Where results lie, for people: an address without keys."""


class CheckupConfig(ProcessConfig):
    """Looks once whether an installed release works."""

    aggregator: str
    """host:port of RunService."""
    datasets: str
    """host:port of DatasetService."""
    store: StoreConfig
    patience: float = 60.0
    """Seconds that a part which does not answer yet is waited for."""
