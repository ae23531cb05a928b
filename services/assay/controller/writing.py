"""Writes to the API server: each only while the Lease is held, each remembered until the mirrors have it.

Runs' loops call it. What somebody else did first (a name that is taken, an object that is gone) is no
failure: the mirrors will show it, and the loop looks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

import msgspec
import structlog

from assay.controller.conditions import EvalRunStatus
from assay.controller.evalrun import EvalRun
from assay.controller.plan import CreateJob, DeleteJob, PatchJob, Write
from assay.controller.watches import Watches
from assay.controller.workloads import Job
from assay.domain.errors import ConflictError, NotFoundError, NotLeaderError
from assay.kube.api import KubeApi
from assay.kube.mirror import Key
from assay.kube.objects import KubeObject
from assay.kube.resources import EVAL_RUNS, EVENTS, JOBS

_log = structlog.get_logger(__name__)

R = TypeVar("R")


class Writer:
    """Carries writes out in threads of its own."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        watches: Watches,
        *,
        held: Callable[[], bool],
        executor: Executor,
    ) -> None:
        """Writes nothing yet.

        Args:
            api: whom to write to.
            namespace: where everything lies.
            watches: told of each write.
            held: whether we still lead; asked right before each request.
            executor: where requests block.
        """
        self._api = api
        self._namespace = namespace
        self._watches = watches
        self._held = held
        self._executor = executor

    async def carry_out(self, write: Write) -> Key:
        """Makes, changes or removes a Job; returns which one, for whoever waits until that is seen.

        Raises:
            NotLeaderError: another controller may lead by now; nothing was written.
            AssayError: as the API server answers.
        """
        match write:
            case CreateJob(manifest):
                name = manifest["metadata"]["name"]
                await self._create(name, manifest)
            case PatchJob(name, uid, patch):
                await self._patch(name, uid, patch)
            case DeleteJob(name, uid):
                await self._delete(name, uid)
        return self._namespace, name

    async def status(self, item: EvalRun, status: EvalRunStatus) -> None:
        """Writes the whole status of an EvalRun.

        Raises:
            NotLeaderError: another controller may lead by now; nothing was written.
            AssayError: as the API server answers.
        """
        name = item.metadata.name
        change = {"status": msgspec.to_builtins(status)}
        try:
            written = await self._blocking(
                lambda: self._api.merge(
                    EVAL_RUNS,
                    name,
                    # Of this very one: its name may have been given anew.
                    {"metadata": {"uid": item.metadata.uid}, **change},
                    self._namespace,
                    of=EvalRun,
                    subresource="status",
                )
            )
        except (NotFoundError, ConflictError) as error:
            _log.info("left alone", what=f"status of {name}", why=str(error))
        else:
            self._watches.runs.wrote(written)

    async def event(self, body: Mapping[str, Any]) -> None:
        """Makes an Event; one of its name tells the same.

        Raises:
            NotLeaderError: another controller may lead by now; nothing was written.
            AssayError: as the API server answers.
        """
        try:
            await self._blocking(
                lambda: self._api.create(EVENTS, body, self._namespace, of=KubeObject)
            )
        except ConflictError:
            return

    async def _create(self, name: str, manifest: Mapping[str, Any]) -> None:
        try:
            made = await self._blocking(
                lambda: self._api.create(JOBS, manifest, self._namespace, of=Job)
            )
        except ConflictError as error:
            _log.info("left alone", what=f"job {name}", why=str(error))
        else:
            self._watches.jobs.wrote(made)
            _log.info("job made", job=name)

    async def _patch(self, name: str, uid: str, patch: Mapping[str, Any]) -> None:
        change = {**patch, "metadata": {**patch.get("metadata", {}), "uid": uid}}
        try:
            changed = await self._blocking(
                lambda: self._api.merge(JOBS, name, change, self._namespace, of=Job)
            )
        except (NotFoundError, ConflictError) as error:
            _log.info("left alone", what=f"job {name}", why=str(error))
        else:
            self._watches.jobs.wrote(changed)
            _log.info("job changed", job=name, change=patch.get("spec"))

    async def _delete(self, name: str, uid: str) -> None:
        # Its pods' logs go with it: what is to be kept of them has to be fetched before this call.
        try:
            await self._blocking(
                lambda: self._api.delete(JOBS, name, self._namespace, uid=uid)
            )
        except (NotFoundError, ConflictError) as error:
            _log.info("left alone", what=f"job {name}", why=str(error))
        else:
            self._watches.jobs.deleted((self._namespace, name), uid)
            _log.info("job removed", job=name)

    async def _blocking(self, request: Callable[[], R]) -> R:
        def asked() -> R:
            if not self._held():
                raise NotLeaderError("cannot write: the controller's Lease is not held")
            return request()

        return await asyncio.get_running_loop().run_in_executor(self._executor, asked)
