"""Names that become folders: model keys as VLMEvalKit writes them, made unique, and dataset names."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from pathlib import Path

from assay.domain.errors import ConfigError

_RESERVED = frozenset({"samples", "logs", "configs"})
"""Folders of ours in a run's folder, where a model's folder stands too."""
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\/:*?"<>|]')
_LONGEST_KEY = 120
"""Upstream's file names hold the key, the dataset and a suffix, in at most 255 bytes."""
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def model_key(served_name: str, path: str) -> str:
    """The folder name VLMEvalKit gives a model: `org/My.Model-7B` becomes `My_Model-7B`.

    Raises:
        ConfigError: what results is no safe name for a folder.
    """
    key = served_name.rpartition("/")[2].replace(":", "-").replace(".", "_")
    if (
        not key
        or key != key.strip()
        or _UNSAFE.search(key)
        or not key.isprintable()
        or len(key.encode()) > _LONGEST_KEY
    ):
        raise ConfigError(
            path,
            "gives no usable folder name "
            f'(its last part: no control characters, none of \\ * ? " < > |, 1 to {_LONGEST_KEY} bytes)',
            "serve the model under another name (vLLM: --served-model-name)",
        )
    return key


def unique_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """The keys in order, those that would share a folder with an earlier one numbered `-2`, `-3`, ...

    Case does not tell folders apart everywhere, so it does not here.
    """
    taken = set(_RESERVED)
    wanted = {key.lower() for key in keys}
    unique: list[str] = []
    for key in keys:
        name, number = key, 2
        while name.lower() in taken or (name != key and name.lower() in wanted):
            name, number = f"{key}-{number}", number + 1
        taken.add(name.lower())
        unique.append(name)
    return tuple(unique)


def check_dataset_name(name: str, path: str) -> None:
    """Refuses a name that is no plain file name.

    Raises:
        ConfigError: it is not.
    """
    if not _DATASET.fullmatch(name):
        raise ConfigError(
            path,
            "is no dataset name: letters, digits and . _ + - only, at most 100, a letter or digit first",
            "write the name alone; where its file is goes into dataset_sources",
        )


def located(path: str, base_dir: Path) -> Path:
    """A path of the user's, absolute; relative ones start from `base_dir`, `~` is his home."""
    # Unlike Path's, this leaves the `~` of an unknown user alone instead of failing.
    return (base_dir / os.path.expanduser(path)).absolute()  # noqa: PTH111
