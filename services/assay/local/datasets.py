"""Has datasets made ready on this machine without a run: `assay datasets fetch` calls it.

The work is a dataset service's, in a process of its own, as in a run.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from assay.config import load_file, resolve
from assay.config.admission import admit_dataset
from assay.config.source import SourceConfig
from assay.domain.errors import AssayError, StoreFullError, UnavailableError
from assay.domain.observed import Presence
from assay.domain.prepared import PreparedRef
from assay.domain.run import Dataset, PicturePolicy
from assay.local.folder import RunFolder
from assay.local.launch import Launch, cache_folder, lmu_folders, s3_access
from assay.local.listener import Listener
from assay.local.part import Part
from assay.rpc.channel import open_channel
from assay.rpc.dataset_client import DatasetClient

_AT_ONCE = 2
"""Datasets at a time: preparing one takes a core."""

_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be ready.

    Attributes:
        policies: how its pictures are put on the wire; each makes a prepared dataset of its own.
    """

    datasets: Sequence[Dataset]
    policies: Sequence[PicturePolicy]
    mirrors: Mapping[str, str]


@dataclass(slots=True)
class Fetched:
    """What became of it.

    Attributes:
        interrupted: it was asked to stop.
    """

    ready: list[PreparedRef] = field(default_factory=list)
    failed: list[AssayError] = field(default_factory=list)
    interrupted: bool = False


def wanted(names: Sequence[str], file: Path | None) -> Wanted:
    """The named datasets, or all of a file, with the sources, mirrors and picture policies it names.

    Raises:
        ConfigError: the file or a name is refused.
    """
    lmu_data, here = lmu_folders(), Path.cwd()
    sources: Mapping[str, SourceConfig] = {}
    mirrors: Mapping[str, str] = {}
    policies = [PicturePolicy()]
    datasets: Sequence[Dataset] = ()
    if file is not None:
        given = load_file(file)
        run = resolve(given, environ=os.environ, lmu_data=lmu_data, base_dir=here).run
        sources, mirrors, datasets = (
            given.dataset_sources or {},
            run.mirrors,
            run.datasets,
        )
        policies = list(dict.fromkeys(model.pictures for model in run.models))
    if names:
        datasets = [
            admit_dataset(
                name,
                name,
                sources=sources,
                lmu_data=lmu_data,
                base_dir=here,
                limit=None,
            )
            for name in dict.fromkeys(names)
        ]
    return Wanted(datasets=datasets, policies=policies, mirrors=mirrors)


def fetch(what: Wanted, listener: Listener, *, unsealed: bool = False) -> Fetched:
    """Fetches, verifies and prepares; what fails does not keep the others.

    Raises:
        StoreFullError: the cache cannot be written.
        UnavailableError: the dataset service does not start.
    """
    cache = cache_folder()
    try:
        (cache / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFullError(
            f"cannot write the cache {cache}: {error.strerror or error}",
            cure="make it writable, or set $ASSAY_CACHE to another folder",
        ) from error
    sources = [part.source for each in what.datasets for part in (each, *each.members)]
    launch = Launch(
        folder=RunFolder(path=cache, run_id="datasets", going_on=False),
        keys={},
        cache=cache,
        lmu_data=lmu_folders(),
        s3=s3_access() if any(s is not None and s.s3 for s in sources) else None,
        unsealed=unsealed,
    )
    return asyncio.run(_fetched(what, launch, listener))


async def _fetched(what: Wanted, launch: Launch, listener: Listener) -> Fetched:
    changed = asyncio.Event()
    service = Part(
        module="assay.dataset.main",
        journal=launch.journal("dataset"),
        serves=True,
        changed=changed.set,
        progress=lambda: 0,
    )
    fetched, loop = Fetched(), asyncio.get_running_loop()
    service.start(launch.dataset)
    work = asyncio.create_task(
        _all_of(what, launch, listener, service, changed, fetched)
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        fetched.interrupted = True
    finally:
        service.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(service.gone(), _STOP_SECONDS)
        service.kill()
        await service.gone()
    return fetched


async def _all_of(  # noqa: PLR0917 - one private caller
    what: Wanted,
    launch: Launch,
    listener: Listener,
    service: Part,
    changed: asyncio.Event,
    fetched: Fetched,
) -> None:
    await _until_ready(service, changed)
    slots = asyncio.Semaphore(_AT_ONCE)
    token = launch.token.get_secret_value()
    async with open_channel(launch.dataset_address, token) as channel:
        client = DatasetClient(channel)

        async def one(dataset: Dataset, policy: PicturePolicy) -> None:
            async with slots:
                try:
                    ref = await client.prepare(
                        dataset.name,
                        dataset.source,
                        policy,
                        what.mirrors,
                        lambda step: listener.preparing(dataset.name, step),
                        member_sources={
                            m.name: m.source for m in dataset.members if m.source
                        },
                    )
                except AssayError as error:
                    fetched.failed.append(error)
                    return
            listener.prepared(ref.name, ref.sample_count)
            fetched.ready.append(ref)

        async with asyncio.TaskGroup() as group:
            for dataset in what.datasets:
                for policy in what.policies:
                    group.create_task(one(dataset, policy))


async def _until_ready(service: Part, changed: asyncio.Event) -> None:
    while service.view.presence is not Presence.READY:
        deaths = service.view.deaths
        if deaths:
            raise UnavailableError(
                f"the dataset service does not start: {deaths[-1].message}",
                cure=f"see {service.view.journal}",
            )
        await changed.wait()
        changed.clear()
