"""Calls to a release's services as anybody may try them: with any token, over a forwarded port.

They are made by a process of its own: threads that gRPC started here before may stand in another network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from assay.v1 import dataset_pb2, run_pb2, work_pb2
from support.cluster_installed import Release, forwarded

_METHODS = {
    "List": (
        "assay.v1.RunService/List",
        run_pb2.ListRunsRequest,
        run_pb2.ListRunsResponse,
    ),
    "Get": ("assay.v1.RunService/Get", run_pb2.GetRequest, run_pb2.RunView),
    "Finish": ("assay.v1.RunService/Finish", run_pb2.FinishRequest, run_pb2.RunView),
    "Lease": (
        "assay.v1.WorkService/Lease",
        work_pb2.LeaseRequest,
        work_pb2.LeaseResponse,
    ),
    "Datasets": (
        "assay.v1.DatasetService/List",
        dataset_pb2.ListPreparedRequest,
        dataset_pb2.ListPreparedResponse,
    ),
}
_TESTS = Path(__file__).parents[1]

Call = Callable[..., str]
"""`call(method, token, **fields)`: the name of the answer's status code."""


@contextmanager
def calling(release: Release, component: str = "aggregator") -> Iterator[Call]:
    """Calls to a service, which is believed by its release's own authority."""
    pod = f"pod/{release.pods(component)[0]['metadata']['name']}"
    authority = release.get(f"configmap/{release.name}-assay-cli")["data"]["ca.crt"]
    paths = [str(_TESTS), str(_TESTS.parent), os.environ.get("PYTHONPATH", "")]
    with (
        forwarded(release.namespace, pod, 8443) as port,
        subprocess.Popen(
            [sys.executable, "-m", "support.cluster_calls", str(port), authority],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as caller,
    ):

        def call(method: str, token: str | None, **fields: Any) -> str:
            caller.stdin.write(json.dumps([method, token, fields]) + "\n")
            caller.stdin.flush()
            return caller.stdout.readline().strip()

        yield call


def _main(port: str, authority: str) -> None:
    trust = grpc.ssl_channel_credentials(authority.encode())
    name = (("grpc.ssl_target_name_override", "assay"),)
    with grpc.secure_channel(f"127.0.0.1:{port}", trust, name) as channel:
        for line in sys.stdin:
            sys.stdout.write(f"{_answer(channel, *json.loads(line))}\n")
            sys.stdout.flush()


def _answer(
    channel: grpc.Channel, method: str, token: str | None, fields: dict[str, Any]
) -> str:
    path, request, response = _METHODS[method]
    ask = channel.unary_unary(
        f"/{path}", request.SerializeToString, response.FromString
    )
    bearer = (("authorization", f"Bearer {token}"),) if token else ()
    try:
        ask(request(**fields), metadata=bearer, timeout=20)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def token_of(release: Release, role: str, scope: str | None) -> str:
    """A token of a role's service account.

    Args:
        release: whose account.
        role: the last word of the account's name and of the audience.
        scope: what comes before the role in the audience; None: the API server's own audience.
    """
    words = ["create", "token", f"{release.name}-assay-{role}"]
    if scope is not None:
        words.append(f"--audience=assay/{scope}/{role}")
    return release.namespace.kubectl(*words).strip()


if __name__ == "__main__":
    _main(*sys.argv[1:])
