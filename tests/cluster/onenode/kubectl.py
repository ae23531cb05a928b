"""Speaks to the cluster as its administrator, from inside its network."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from cluster.onenode import network
from cluster.onenode.place import Place
from support.binaries import binary

_CALL_SECONDS = 60


def kubectl(place: Place, *words: str, given: str | None = None) -> str:
    """What kubectl prints.

    Args:
        place: the cluster.
        words: its arguments.
        given: its standard input.

    Raises:
        subprocess.CalledProcessError: it failed; `stderr` says why.
    """
    command = [str(binary("kubectl")), f"--kubeconfig={place.kubeconfig()}", *words]
    done = subprocess.run(
        network.inside(command),
        input=given,
        capture_output=True,
        text=True,
        check=True,
        timeout=_CALL_SECONDS,
    )
    return done.stdout


def apply(place: Place, *objects: dict[str, Any]) -> None:
    """Creates objects, or makes them what they are said to be."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl(place, "apply", "--server-side", "-f", "-", given=json.dumps(listed))
