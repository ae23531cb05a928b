"""What images hold, who runs them, and that the torch recipe works with stubs in place of gigabytes."""

import json
import subprocess
import sys
import zipfile

import pytest
from images.build import LOCAL_BASE, ROOT, version
from images.engine import find_engine

from support.cluster_images import image

SITE = "/opt/assay/lib/python3.11/site-packages"
SECONDS = 240


@pytest.fixture(scope="module")
def engine():
    """Buildah with the base that images here are built from."""
    found = find_engine()
    if found.program != "buildah" or not found.has(LOCAL_BASE):
        pytest.skip("needs buildah and a base made here (`make images BASE=local`)")
    return found


def told(name):
    """An image's own configuration."""
    command = ["buildah", "inspect", "--type", "image", name]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)["OCIv1"]["config"]


@pytest.mark.parametrize("name", ["worker", "control", "scorer", "digits"])
def test_every_image_runs_as_nobody_of_a_node(engine, name):
    user = told(image(name))["User"].partition(":")[0]
    assert int(user) >= 10000


def test_the_control_image_is_smaller_than_half_a_gigabyte(engine, figure):
    sizes = {n: engine.size(image(n)) / 1e6 for n in ("worker", "control", "scorer")}
    figure(", ".join(f"{name} {size:.0f} MB" for name, size in sizes.items()))
    assert sizes["control"] < 500


@pytest.fixture
def stubs(tmp_path):
    """A folder with the wheel of a torch that holds nothing but its name."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    about = "torch-9.9.dist-info"
    with zipfile.ZipFile(folder / "torch-9.9-py3-none-any.whl", "w") as wheel:
        wheel.writestr("torch/__init__.py", "__version__ = '9.9'\n")
        wheel.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 9.9\n"
        )
        wheel.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{about}/RECORD", "")
    return folder


@pytest.fixture
def torch_image(engine, stubs):
    """The image that is built with them; gone afterwards."""
    words = ("--registry", "localhost/stubbed", "worker", "--torch-wheels", str(stubs))
    command = [sys.executable, "-m", "images.build", "--base", "local", *words]
    subprocess.run(command, cwd=ROOT, check=True, timeout=SECONDS)
    yield f"localhost/stubbed/torch:{version()}"
    for name in ("torch", "worker"):
        engine.remove(f"localhost/stubbed/{name}:{version()}")


def test_the_torch_image_has_the_wheels_that_were_given_beside_the_worker(torch_image):
    check = f"import sys; sys.path.insert(0, '{SITE}'); import torch, assay.infer.main"
    python = ("/opt/assay/bin/python", "-c", check)
    container = run("from", "--pull-never", torch_image)
    try:
        run("run", "--isolation", "chroot", container, "--", *python)
    finally:
        run("rm", container)


def run(*words):
    """What buildah prints."""
    done = subprocess.run(
        ["buildah", *words],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
