"""Which datasets a run may name: known, found, safe in paths, and usable without a judge; with the cure."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.config.naming import check_dataset_name, located
from assay.config.problems import nearest, printable
from assay.config.source import SourceConfig
from assay.domain.catalog import Entry, Family, lookup, names
from assay.domain.errors import ConfigError
from assay.domain.run import Dataset, SourceOverride


def admit_dataset(
    name: str,
    path: str,
    *,
    sources: Mapping[str, SourceConfig],
    lmu_data: Sequence[Path],
    base_dir: Path,
    limit: int | None,
) -> Dataset:
    """The dataset as the run carries it, under upstream's present name.

    Raises:
        ConfigError: unknown, not usable yet, or broken with this `limit`.
    """
    check_dataset_name(name, path)
    brought = name in sources or _found(name, lmu_data)
    entry = lookup(name)
    if entry is None and not brought:
        raise _unknown(name, path, sources)
    if entry is not None and entry.renamed:
        # Upstream takes a TSV under the old name as a custom dataset.
        name = name if brought else entry.renamed
        entry = None if brought else lookup(entry.renamed)
    if entry is not None and not entry.supported:
        raise ConfigError(path, f"{name}: {entry.reason}", entry.cure)
    check_limit(name, limit)
    if entry is not None and entry.members:
        return _collection(entry, path, sources, base_dir)
    return Dataset(name=name, source=_source(name, sources, base_dir))


def _collection(
    entry: Entry, path: str, sources: Mapping[str, SourceConfig], base_dir: Path
) -> Dataset:
    """A dataset that upstream puts together from others, each with a source of its own."""
    if entry.name in sources:
        listed = ", ".join(entry.members)
        raise ConfigError(
            f"dataset_sources.{entry.name}",
            f"{entry.name} has no file: VLMEvalKit puts it together from {listed}",
            f"give those their sources, or remove {path}",
        )
    return Dataset(
        name=entry.name,
        members=tuple(
            Dataset(name=member, source=_source(member, sources, base_dir))
            for member in entry.members
        ),
    )


def check_apart(datasets: Sequence[Dataset], path: str) -> None:
    """Refuses a collection beside one of its members: both would write the same files.

    Raises:
        ConfigError: names the two.
    """
    names = {dataset.name for dataset in datasets}
    for whole in datasets:
        for part in whole.members:
            if part.name in names:
                raise ConfigError(
                    path,
                    f"{part.name} is a part of {whole.name}, and both write the same files",
                    f"remove {part.name}: {whole.name} reports each of its parts",
                )


def dataset_notes(
    datasets: Sequence[Dataset],
    sources: Mapping[str, SourceConfig],
    limit: int | None,
    named: Sequence[str],
) -> list[str]:
    """What the report says about how the datasets were taken; `named` as the user wrote them."""
    parts = [part for each in datasets for part in (each, *each.members)]
    used = {part.name for part in parts}
    notes = [
        f"dataset_sources.{name} is not used: eval_config.data does not name it."
        for name in sources
        if name not in used
    ]
    for name in named:
        entry = lookup(name)
        if entry is not None and entry.renamed:
            notes.append(_renamed_note(entry, custom=name in used))
    if limit is not None:
        notes += [note for part in parts if (note := _limit_note(part.name))]
    return notes


def _renamed_note(entry: Entry, *, custom: bool) -> str:
    told = f"{entry.name} is called {entry.renamed} by VLMEvalKit 0.0.20"
    if custom:
        return f"{told}; under its old name it is scored as a custom dataset."
    return f"{told}; it runs under that name."


def _limit_note(name: str) -> str:
    """What a limit does to a dataset's figures beyond counting fewer rows; empty: nothing."""
    entry = lookup(name)
    if name == "HallusionBench":
        return (
            "limit takes the first rows of HallusionBench: figures over incomplete groups "
            "(fAcc, qAcc) are partial, as upstream's."
        )
    if name == "OCRBench":
        return (
            "limit takes the first rows of OCRBench: its figures are counts, and Final Score Norm "
            "is a share of 1000 rows, as upstream's."
        )
    if entry is not None and entry.family is Family.MCQ_CIRCULAR:
        return (
            f"limit takes the first rows of {name}: a question counts as right when those of its "
            "rotations that are among them are right, as upstream's."
        )
    return ""


def check_limit(name: str, limit: int | None) -> None:
    """Refuses a limit with which upstream cannot score the dataset.

    Raises:
        ConfigError: with the nearest limit that works, or what to name instead.
    """
    if limit is None:
        return
    if name == "MME" and limit % 2:
        raise ConfigError(
            "eval_config.limit",
            "MME asks two questions about each picture, and upstream fails on half a pair",
            f"write an even number such as {limit + 1}",
        )
    entry = lookup(name)
    if entry is not None and entry.members:
        first, *others = entry.members
        raise ConfigError(
            "eval_config.limit",
            f"the first rows of {name} are all of {first}, and upstream fails on members without rows",
            f"name the members instead of {name}: {', '.join([first, *others])}",
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
        f"{hint}A file of your own goes into dataset_sources.{name}.path, in a cluster .url",
    )


def _local(source: SourceConfig, base_dir: Path) -> Path:
    return located(source.path or "", base_dir)


def _source(
    name: str, sources: Mapping[str, SourceConfig], base_dir: Path
) -> SourceOverride | None:
    """Where the user says the file of `name` is; None: nowhere."""
    source = sources.get(name)
    if source is None:
        return None
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
