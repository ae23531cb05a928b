"""What can be known of a local model before a card is taken: paths, packages, versions.

The local engine asks when it opens; a local run asks before it starts anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.config.upstream_models import lets_code_run, transformers_range
from assay.domain.errors import ConfigError
from assay.domain.run import Model

_FIELD = "eval_config.model"
_PROBE = Path(__file__).parents[2] / "vlmevalkit" / "apart" / "probe.py"
_PROBE_SECONDS = 60.0
_VLMEVALKIT = "0.0.20"
_NAMING_CODE = frozenset(
    {
        *("config.json", "tokenizer_config.json"),
        *("preprocessor_config.json", "processor_config.json"),
    }
)
"""Files of a model in which `auto_map` names code that comes with it."""


async def check(model: Model, python: str) -> None:
    """Returns where nothing speaks against building the model with this interpreter.

    Raises:
        ConfigError: something does, and this is the cure.
    """
    local = model.local
    assert local is not None
    check_weights(model)
    found = await probe(python)
    if why := missing(found):
        raise ConfigError(
            _FIELD, f"{model.kind} cannot be built by {python}: {why}", INSTALL
        )
    wanted = None if local.any_transformers else transformers_range(model.kind)
    if wanted is not None and not wanted.admits(str(found["transformers"])):
        raise ConfigError(
            _FIELD,
            f"{model.kind} needs transformers {wanted}, and {python} has {found['transformers']}",
            f"make an environment with it (pip install 'transformers{wanted}' beside torch and ms-vlmeval)"
            " and name its interpreter in the model's `python`, or in $ASSAY_LOCAL_PYTHON; any_transformers:"
            " true beside the model tries it with what is there",
        )


INSTALL = (
    "`make local` makes an environment with torch and prints its interpreter: name that in "
    "$ASSAY_LOCAL_PYTHON, or in the model's `python`"
)


def check_weights(model: Model) -> None:
    """Returns where the weights are a hub's, or a folder that looks like some.

    Raises:
        ConfigError: they are neither.
    """
    local = model.local
    assert local is not None
    folder = Path(local.weights)
    if not folder.is_absolute():
        return
    if not folder.is_dir():
        raise ConfigError(
            f"{_FIELD}.{local.argument}",
            f"there is no folder {folder}",
            "name the folder with the model's weights, or a hub's as hf://owner/name",
        )
    names = {path.name for path in folder.iterdir()}
    weights = any(n.endswith((".safetensors", ".bin", ".pt", ".pth")) for n in names)
    if not weights:
        raise ConfigError(
            f"{_FIELD}.{local.argument}",
            f"{folder} holds no weights (*.safetensors, *.bin, *.pt): {_some(names)}",
            "name the folder into which the model was downloaded whole",
        )
    if not local.trust_remote_code and lets_code_run(model.kind):
        for name in _NAMING_CODE & names:
            _check_code(model, folder / name)


def _check_code(model: Model, file: Path) -> None:
    try:
        told = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{_FIELD}.{model.kind}",
            f"cannot read {file}: {error}",
            "download the model again",
        ) from error
    if isinstance(told, dict) and told.get("auto_map"):
        folder = file.parent
        raise ConfigError(
            f"{_FIELD}.trust_remote_code",
            f"the weights in {folder} bring code of their own, which would run as you",
            "look at it, and write trust_remote_code: true beside the model if it may",
        )


def interpreter(model: Model, environ: Mapping[str, str] = os.environ) -> str:
    """What runs a local model: its own `python`, the user's for all, else ours, if it has torch."""
    assert model.local is not None
    return model.local.python or environ.get("ASSAY_LOCAL_PYTHON") or sys.executable


async def probe(python: str) -> Mapping[str, Any]:
    """The versions of what matters by name, of an interpreter; a package that is not there has none.

    Raises:
        ConfigError: it is no interpreter.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            python,
            "-I",
            str(_PROBE),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_PROBE_SECONDS):
            out, err = await process.communicate()
        found: Mapping[str, Any] = json.loads(out)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(
            f"{_FIELD}.python",
            f"{python} is no interpreter that works: {error or 'it does not answer'}",
            INSTALL,
        ) from error
    if process.returncode:
        raise ConfigError(
            f"{_FIELD}.python", f"{python}: {err.decode()[-300:]}", INSTALL
        )
    return found


def missing(found: Mapping[str, Any]) -> str:
    """Why an interpreter can build no model at all; empty: it can."""
    absent = [n for n in ("torch", "transformers", "ms-vlmeval") if not found.get(n)]
    if absent:
        return f"it has no {', '.join(absent)}"
    if found["ms-vlmeval"] != _VLMEVALKIT:
        return f"it has ms-vlmeval {found['ms-vlmeval']}, not {_VLMEVALKIT}"
    return ""


async def cards(
    each: int, environ: Mapping[str, str] = os.environ
) -> list[dict[str, str]]:
    """The cards of this machine, `each` to a replica, as variables; without cards one replica and none.

    Raises:
        ConfigError: there are cards, and fewer than one replica takes.
    """
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    names = [n for n in visible.split(",") if n] if visible is not None else None
    if names is None:
        names = await _listed()
    if not names:
        return [{}]
    groups = [names[at : at + each] for at in range(0, len(names), each)]
    whole = [group for group in groups if len(group) == each]
    if not whole:
        raise ConfigError(
            f"{_FIELD}.gpus",
            f"one replica takes {each} cards, and there are {len(names)}",
            "lower gpus",
        )
    return [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in whole]


async def _listed() -> list[str]:
    try:
        process = await asyncio.create_subprocess_exec(
            "nvidia-smi",
            "--query-gpu=index",
            "--format=csv,noheader",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_PROBE_SECONDS):
            out, _ = await process.communicate()
    except (OSError, TimeoutError):
        return []
    return out.decode().split() if process.returncode == 0 else []


def cure_of(kind: str, name: str, log: str) -> str:
    """What can be done where a model was not built."""
    cures = {
        "out_of_memory": "the card is too small for it, or others use it: give a replica more cards"
        " (`gpus`), or free the card",
        "remote_code": "look at the code, and write trust_remote_code: true beside the model if it may run",
        "other_environment": f"the environment does not fit {name}: name an interpreter that has what it"
        " asks for in the model's `python`",
    }
    return cures.get(kind, "see the model's own words") + f" ({log})"


def _some(names: set[str]) -> str:
    shown = sorted(names)[:5]
    return ", ".join(shown) or "it is empty"
