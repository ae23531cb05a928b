"""What each process of ours is told; here, so that a driver can write configs without importing services."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from assay.process.contract import ProcessConfig


class InferConfig(ProcessConfig):
    """Starts a worker that asks one model about the samples of one queue."""

    listen: str = "127.0.0.1:0"
    """Where WorkerService is served; port 0: a free one."""
    aggregator: str
    """host:port of WorkService."""
    run_id: str
    queue: str
    """The queue to draw from: the model's key."""
    worker_id: str
    """Unique per process."""
    model: dict[str, Any] = Field(description="assay.domain.run.Model as JSON")
    api_key: SecretStr = SecretStr("EMPTY")
    """Sent to the endpoint; `EMPTY` is what VLMEvalKit sends when none is given."""
    aggregator_patience: float = 600.0
    """Seconds without an answer of the aggregator after which the worker exits RETRY."""
    drain_seconds: float = 20.0
    """Seconds that requests in flight may still take after SIGTERM."""
