"""Where the API server is and how we prove ourselves, from a pod's mounts and from kubeconfigs."""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.domain.errors import ConfigError, UnauthenticatedError, UnavailableError
from assay.kube.access import MountedToken, in_cluster
from assay.kube.kubeconfig import from_kubeconfig
from support.api_server import make_certificates, signed


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    make_certificates(tmp_path)
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("eval")
    return tmp_path


def pod(host: str = "10.96.0.1") -> dict[str, str]:
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}


def test_a_pod_finds_its_server_namespace_and_token(mounted: Path) -> None:
    access = in_cluster(pod(), mounted)
    assert (access.server, access.namespace) == ("https://10.96.0.1:443", "eval")
    assert access.credentials.authorization() == "Bearer first"
    assert access.tls is not None
    assert access.tls.verify_mode is ssl.CERT_REQUIRED


def test_an_ipv6_address_stands_in_brackets(mounted: Path) -> None:
    assert in_cluster(pod("fd00::1"), mounted).server == "https://[fd00::1]:443"


def test_a_process_outside_of_a_pod_is_told_so(mounted: Path) -> None:
    with pytest.raises(ConfigError, match="runs in no pod"):
        in_cluster({}, mounted)


def test_a_pod_without_a_token_is_told_what_to_mount(mounted: Path) -> None:
    (mounted / "token").unlink()
    with pytest.raises(ConfigError, match="automountServiceAccountToken"):
        in_cluster(pod(), mounted)


def test_a_replaced_token_is_used_after_a_few_seconds(mounted: Path) -> None:
    now = [0.0]
    token = MountedToken(mounted / "token", lambda: now[0])
    token.authorization()
    (mounted / "token").write_text("second")
    assert token.authorization() == "Bearer first"
    now[0] = 10.0
    assert token.authorization() == "Bearer second"


def test_a_refused_token_is_read_anew_at_once(mounted: Path) -> None:
    token = MountedToken(mounted / "token", lambda: 0.0)
    token.authorization()
    assert not token.renew()
    (mounted / "token").write_text("second")
    assert token.renew()
    assert token.authorization() == "Bearer second"


def test_a_token_that_cannot_be_read_may_be_there_later(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot read the token"):
        MountedToken(tmp_path / "token").authorization()


def kubeconfig(folder: Path, user: dict[str, Any], **cluster: Any) -> str:
    """One with a context `here`."""
    whole = {"server": "https://api.example:6443", **cluster}
    config = {
        "current-context": "here",
        "clusters": [{"name": "one", "cluster": whole}],
        "users": [{"name": "me", "user": user}],
        "contexts": [
            {
                "name": "here",
                "context": {"cluster": "one", "user": "me", "namespace": "eval"},
            },
            {"name": "there", "context": {"cluster": "one", "user": "me"}},
        ],
    }
    path = folder / "config"
    path.write_text(json.dumps(config))
    return str(path)


def test_the_current_context_gives_server_namespace_and_token(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, {"token": "mine"}))
    assert (access.server, access.namespace) == ("https://api.example:6443", "eval")
    assert access.credentials.authorization() == "Bearer mine"


def test_another_context_is_named_and_may_have_no_namespace(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "mine"})
    assert from_kubeconfig(path, "there").namespace == "default"
    with pytest.raises(ConfigError, match="nowhere"):
        from_kubeconfig(path, "nowhere")


def test_the_environment_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, {"token": "mine"}))
    assert from_kubeconfig().namespace == "eval"


def test_a_missing_file_is_named_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no kubeconfig .*--kubeconfig"):
        from_kubeconfig(str(tmp_path / "absent"))


def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("hello: [")
    with pytest.raises(ConfigError, match="cannot use it"):
        from_kubeconfig(str(path))


def test_certificates_may_lie_inline_or_beside_the_file(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    user = signed(tmp_path, "somebody")
    path = kubeconfig(tmp_path, user, **{"certificate-authority": "ca.crt"})
    access = from_kubeconfig(path)
    assert access.tls is not None
    assert len(access.tls.get_ca_certs()) == 1
    assert access.credentials.authorization() == ""


def test_an_unchecked_server_and_a_name_of_its_own_are_as_the_file_says(
    tmp_path: Path,
) -> None:
    words = {"insecure-skip-tls-verify": True, "tls-server-name": "kubernetes"}
    access = from_kubeconfig(kubeconfig(tmp_path, {"token": "mine"}, **words))
    assert access.tls is not None
    assert access.tls.verify_mode is ssl.CERT_NONE
    assert access.tls_name == "kubernetes"


PLUGIN = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
count.write_text(str(int(count.read_text()) + 1))
status = {"token": "token-" + count.read_text()}
version = "client.authentication.k8s.io/v1"
print(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
"""


def plugin(folder: Path, source: str) -> dict[str, Any]:
    """A user whose credentials a program makes."""
    (folder / "plugin.py").write_text(source)
    (folder / "count").write_text("0")
    words = [str(folder / "plugin.py"), str(folder / "count")]
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": sys.executable, "args": words}}


def test_a_plugins_token_is_used_and_made_anew_after_a_refusal(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, plugin(tmp_path, PLUGIN)))
    assert access.credentials.authorization() == "Bearer token-1"
    assert access.credentials.authorization() == "Bearer token-1"
    assert access.credentials.renew()
    assert access.credentials.authorization() == "Bearer token-2"


def test_a_plugin_that_fails_is_named_and_nobody_goes_on_without_it(
    tmp_path: Path,
) -> None:
    user = plugin(tmp_path, "raise SystemExit(1)")
    with pytest.raises(UnauthenticatedError, match="gave no credentials"):
        from_kubeconfig(kubeconfig(tmp_path, user))


def test_a_token_file_is_read_anew_after_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("first\n")
    user = {"tokenFile": str(tmp_path / "mine")}
    credentials = from_kubeconfig(kubeconfig(tmp_path, user)).credentials
    assert credentials.authorization() == "Bearer first"
    (tmp_path / "mine").write_text("second\n")
    assert credentials.renew()
    assert credentials.authorization() == "Bearer second"
