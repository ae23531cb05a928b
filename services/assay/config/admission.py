"""Which datasets a run may name: known, found, safe in paths, and scored without a judge; with the cure."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.config.naming import check_dataset_name, located
from assay.config.problems import nearest, printable
from assay.config.source import SourceConfig
from assay.domain.catalog import JudgeNeed, lookup, names
from assay.domain.errors import ConfigError
from assay.domain.run import Dataset, SourceOverride

_RENAMED = {"GMAI_mm_bench_VAL": "GMAI-MMBench_VAL"}
"""Upstream knows these only by their new names; with a TSV of one's own the old one is a custom dataset."""


def admit_dataset(
    name: str,
    path: str,
    *,
    sources: Mapping[str, SourceConfig],
    lmu_data: Sequence[Path],
    base_dir: Path,
    limit: int | None,
) -> Dataset:
    """The dataset as the run carries it.

    Raises:
        ConfigError: unknown, not usable yet, or broken with this `limit`.
    """
    check_dataset_name(name, path)
    source = sources.get(name)
    brought = source is not None or _found(name, lmu_data)
    entry = lookup(name)
    if entry is None and not brought:
        raise _unknown(name, path, sources)
    custom = name in _RENAMED and brought
    if entry is not None and not custom:
        if entry.judge is JudgeNeed.MANDATORY:
            raise ConfigError(
                path, "only a judge LLM can score it, and judges come later", entry.cure
            )
        if not entry.supported:
            raise ConfigError(path, entry.refusal, entry.cure)
    check_limit(name, limit)
    override = None if source is None else _override(source, base_dir)
    return Dataset(name=name, source=override)


def dataset_notes(
    datasets: Sequence[Dataset], sources: Mapping[str, SourceConfig], limit: int | None
) -> list[str]:
    """What the report says about how the datasets were taken."""
    used = {dataset.name for dataset in datasets}
    notes = [
        f"dataset_sources.{name} is not used: eval_config.data does not name it."
        for name in sources
        if name not in used
    ]
    notes += [
        f"{old} is called {new} by VLMEvalKit 0.0.20; under its old name it is scored as a custom dataset."
        for old, new in _RENAMED.items()
        if old in used
    ]
    if limit is not None and "HallusionBench" in used:
        notes.append(
            "limit takes the first rows of HallusionBench: figures over incomplete groups "
            "(fAcc, qAcc) are partial, as upstream's."
        )
    return notes


def check_limit(name: str, limit: int | None) -> None:
    """Refuses a limit with which upstream cannot score the dataset.

    Raises:
        ConfigError: with the nearest limit that works.
    """
    if limit is not None and name == "MME" and limit % 2:
        raise ConfigError(
            "eval_config.limit",
            "MME asks two questions about each picture, and upstream fails on half a pair",
            f"write an even number such as {limit + 1}",
        )


def check_sources(sources: Mapping[str, SourceConfig], base_dir: Path) -> None:
    """Refuses unsafe names and files that are not there.

    Raises:
        ConfigError: the first of them.
    """
    for name, source in sources.items():
        path = f"dataset_sources.{printable(name)}"
        check_dataset_name(name, path)
        if source.path is not None and not _is_file(file := _local(source, base_dir)):
            raise ConfigError(
                f"{path}.path",
                f"there is no file {printable(str(file), 200)}",
                "name an existing TSV; relative paths are looked for from the current folder",
            )


def check_mirrors(mirrors: Mapping[str, str]) -> None:
    """Refuses rewrites from or to something that is no http(s) address.

    Raises:
        ConfigError: the first of them.
    """
    for prefix, target in mirrors.items():
        for address in (prefix, target):
            if not address.startswith(("http://", "https://")):
                raise ConfigError(
                    f"mirrors.{printable(prefix)}",
                    f"{printable(address)} is not an http(s) address",
                    "write https://original/prefix: https://mirror/prefix",
                )


def _found(name: str, lmu_data: Sequence[Path]) -> bool:
    return any(_is_file(folder / f"{name}.tsv") for folder in lmu_data)


def _is_file(path: Path) -> bool:
    # Unlike Path's, this answers for folders that may not be looked into as well.
    return os.path.isfile(path)  # noqa: PTH113


def _unknown(name: str, path: str, sources: Mapping[str, SourceConfig]) -> ConfigError:
    guess = nearest(name, {*names(), *sources})
    hint = f"did you mean {guess}? " if guess else ""
    return ConfigError(
        path,
        f'there is no dataset "{name}": VLMEvalKit documents no such name, and neither '
        f"dataset_sources nor $LMUData has it",
        f"{hint}A file of your own goes into dataset_sources.{name}.path",
    )


def _local(source: SourceConfig, base_dir: Path) -> Path:
    return located(source.path or "", base_dir)


def _override(source: SourceConfig, base_dir: Path) -> SourceOverride:
    local = None
    if source.path is not None:
        local = str(_local(source, base_dir).absolute())
    return SourceOverride(
        url=source.url,
        path=local,
        s3=source.s3,
        md5=source.md5.lower() if source.md5 else None,
        sha256=source.sha256.lower() if source.sha256 else None,
    )
