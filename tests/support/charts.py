"""The chart as Helm renders it: a list of objects, or what it refuses to render."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.binaries import binary

CHART = Path(__file__).parents[2] / "charts" / "assay"


def helm(*words: str, values: dict[str, Any] | None = None) -> str:
    """What Helm prints.

    Raises:
        AssertionError: it failed; the message is its own.
    """
    given = ["-f", "-"] if values is not None else []
    done = subprocess.run(
        [binary("helm"), *words, *given],
        input=json.dumps(values) if values is not None else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


def rendered(values: dict[str, Any], *, release: str = "demo") -> list[dict[str, Any]]:
    """The objects of a release in namespace `space`."""
    words = ("template", release, str(CHART), "--namespace", "space")
    return [o for o in yaml.safe_load_all(helm(*words, values=values)) if o]


def refusal(values: dict[str, Any]) -> str:
    """Why Helm renders nothing."""
    try:
        rendered(values)
    except AssertionError as error:
        return str(error)
    raise AssertionError("the chart was rendered")


def named(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The one object of this kind whose name ends so."""
    (found,) = [
        o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(name)
    ]
    return found


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod spec of every workload, by its name."""
    return {
        o["metadata"]["name"]: o["spec"]["template"]["spec"]
        for o in objects
        if o["kind"] in {"Deployment", "StatefulSet", "Job"}
    }


def notes(values: dict[str, Any], folder: Path) -> str:
    """What Helm says after an installation; without a cluster it shows that of no chart, so of a copy."""
    copied = folder / "assay"
    shutil.copytree(CHART, copied, dirs_exist_ok=True)
    said = (copied / "templates/NOTES.txt").read_text()
    shown = '{"kind": "Shown", "notes": {{ include "shown" . | toJson }}}\n'
    told = copied / "templates/shown.yaml"
    told.write_text(f'{{{{- define "shown" -}}}}{said}{{{{- end -}}}}{shown}')
    text = helm(
        *("template", "demo", str(copied), "--namespace", "space"),
        *("--show-only", "templates/shown.yaml"),
        values=values,
    )
    return str(yaml.safe_load(text)["notes"])
