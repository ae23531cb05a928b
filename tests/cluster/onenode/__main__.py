"""`python -m cluster.onenode up|down|load|enter`: what the make targets call."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from cluster.onenode import network
from cluster.onenode.down import down
from cluster.onenode.images import load_built
from cluster.onenode.needs import TOOLS, missing
from cluster.onenode.place import here
from cluster.onenode.up import StartError, alone, up
from support.binaries import MissingError, binary

_USAGE = (
    "usage: python -m cluster.onenode up | down | load IMAGE... | enter COMMAND...\n"
)


def main(words: Sequence[str]) -> int:
    """Carries one command out; the exit code is 0, 1 (failed), 2 (misused) or 3 (not on this machine)."""
    if os.environ.get("KUBECONFIG") and words[:1] != ["enter"]:
        sys.stdout.write(
            f"the cluster of KUBECONFIG={os.environ['KUBECONFIG']} is used\n"
        )
        return 0
    match list(words):
        case ["up"]:
            return _up()
        case ["down"]:
            with alone(here()):
                down(here())
            return 0
        case ["load", *names] if names:
            load_built(here(), *names)
            return 0
        case ["enter", *command] if command:
            return _enter(command)
    sys.stderr.write(_USAGE)
    return 2


def _up() -> int:
    if lacks := missing():
        sys.stderr.write("error: no cluster can be started here; it needs\n  ")
        sys.stderr.write("\n  ".join(lacks) + "\n")
        return 3
    start = time.monotonic()
    try:
        with alone(here()):
            fresh = up(here(), TOOLS)
    except (StartError, MissingError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    said = f"came up in {time.monotonic() - start:.0f} s" if fresh else "was up already"
    sys.stdout.write(f"the cluster {said}: KUBECONFIG={here().kubeconfig()}\n")
    return 0


def _enter(command: list[str]) -> int:  # noqa: RET503 - it becomes another program
    """Becomes the command, inside the cluster's network and with its tools."""
    os.environ["ASSAY_TEST_CLUSTER"] = "1"
    if os.environ.get("KUBECONFIG"):
        os.execvp(command[0], command)
    if not network.exists():
        sys.stderr.write("error: no cluster is up: `make cluster-up`\n")
        return 1
    tools = [str(binary(name).parent) for name in ("kubectl", "helm")]
    os.environ["PATH"] = os.pathsep.join([*tools, os.environ["PATH"]])
    os.environ["KUBECONFIG"] = str(here().kubeconfig())
    inside = network.inside(command)
    os.execvp(inside[0], inside)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
