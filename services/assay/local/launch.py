"""What each process of a local run is told: the only place that knows which module runs which role."""

from __future__ import annotations

import os
import secrets as randomness
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from assay.domain.judge import JUDGE_QUEUE
from assay.domain.run import Model
from assay.domain.task import TaskId
from assay.local.folder import RunFolder
from assay.local.loopback import free_address
from assay.process.configs import (
    AggregatorConfig,
    DatasetConfig,
    InferConfig,
    S3Config,
    ScorerConfig,
)
from assay.process.contract import FolderStoreConfig
from assay.store.cache import IMPORTED


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where prepared datasets are kept for all runs of this user."""
    chosen = environ.get("ASSAY_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else _default_cache()


def _default_cache() -> Path:
    return Path.home() / ".cache" / "assay"


def lmu_folders(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where VLMEvalKit would look for a dataset's TSV, and then where imported ones are."""
    chosen = environ.get("LMUData")
    imported = cache_folder(environ) / IMPORTED
    if chosen and Path(chosen).expanduser().is_dir():
        return (Path(chosen).expanduser().absolute(), imported)
    return (Path.home() / "LMUData", imported)


def s3_access(environ: Mapping[str, str] = os.environ) -> S3Config:
    """How `s3://` sources are read: AWS's own variables, Amazon's own endpoint unless one is named."""
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    url = urlsplit(endpoint or "https://s3.amazonaws.com")
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    signed = bool(key and secret)
    return S3Config(
        endpoint=url.netloc,
        secure=url.scheme != "http",
        access_key=SecretStr(key) if signed and key else None,
        secret_key=SecretStr(secret) if signed and secret else None,
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything the processes of one run have in common.

    Attributes:
        keys: bearer token of each model, by its key, and of the judge; in memory only.
        s3: None: no dataset of the run is read from there.
        unsealed: run children without a seal where this machine cannot seal.
    """

    folder: RunFolder
    keys: Mapping[str, SecretStr]
    cache: Path
    lmu_data: Sequence[Path]
    s3: S3Config | None = None
    unsealed: bool = False
    token: SecretStr = field(
        default_factory=lambda: SecretStr(randomness.token_urlsafe(32))
    )
    dataset_address: str = field(default_factory=free_address)
    aggregator_address: str = field(default_factory=free_address)

    def journal(self, role: str) -> Path:
        """The log of a role."""
        return self.folder.path / "logs" / f"{role}.log"

    def dataset(self, ready_fd: int | None) -> DatasetConfig:
        """For the dataset service."""
        return DatasetConfig(
            token=self.token,
            ready_fd=ready_fd,
            die_with_parent=True,
            log_file=self.journal("dataset"),
            listen=self.dataset_address,
            store=FolderStoreConfig(cache=self.cache),
            lmu_data=tuple(self.lmu_data),
            s3=self.s3,
            unsealed=self.unsealed,
        )

    def aggregator(self, ready_fd: int | None) -> AggregatorConfig:
        """For the aggregator."""
        return AggregatorConfig(
            token=self.token,
            ready_fd=ready_fd,
            die_with_parent=True,
            log_file=self.journal("aggregator"),
            listen=self.aggregator_address,
            store=FolderStoreConfig(cache=self.cache, run_dir=self.folder.path),
            run_id=self.folder.run_id,
        )

    def infer(self, model: Model) -> InferConfig:
        """For one incarnation of a model's worker."""
        return InferConfig(
            token=self.token,
            die_with_parent=True,
            log_file=self.journal(worker_role(model.key)),
            aggregator=self.aggregator_address,
            run_id=self.folder.run_id,
            queue=model.key,
            worker_id=f"{model.key}#{randomness.token_hex(4)}",
            model=asdict(model),
            api_key=self.keys.get(model.key, SecretStr("EMPTY")),
        )

    def scorer(self, task: TaskId) -> ScorerConfig:
        """For one incarnation of a task's scorer."""
        return ScorerConfig(
            token=self.token,
            die_with_parent=True,
            log_file=self.journal(scorer_role(task)),
            aggregator=self.aggregator_address,
            run_id=self.folder.run_id,
            model=task.model,
            dataset=task.dataset,
            unsealed=self.unsealed,
        )


def worker_role(model: str) -> str:
    """The name of a model's worker, for logs."""
    return "judge" if model == JUDGE_QUEUE else f"infer-{model}"


def scorer_role(task: TaskId) -> str:
    """The name of a task's scorer, for logs."""
    return f"scorer-{task.model}-{task.dataset}"
