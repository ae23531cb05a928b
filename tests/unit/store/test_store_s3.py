"""S3Store beside what every store promises: whose prefix it is, its addresses, and what refusals mean."""

import json
import os
import shutil
import signal
import subprocess
import uuid

import pytest
import urllib3
from minio import Minio

from assay.domain.errors import (
    ConfigError,
    ConflictError,
    CorruptError,
    StoreFullError,
    StoreUnavailableError,
)
from assay.store.s3 import S3Store
from support.cutting_proxy import cutting_proxy
from support.minio_server import ACCESS_KEY, SECRET_KEY, running_minio

MIB = 1024 * 1024


def test_objects_stand_below_the_prefix_of_their_release(s3, admin, bucket):
    s3.put("runs/r/spec.json", b"{}")
    (found,) = admin.list_objects(bucket, recursive=True)
    assert found.object_name == "space/demo/runs/r/spec.json"


def test_two_releases_in_one_bucket_see_nothing_of_each_other(minio, bucket, s3):
    other = S3Store(minio.config(bucket=bucket, prefix="space/demo-2"))
    s3.put("blobs/x", b"1")
    other.put("blobs/y", b"2")
    assert list(s3.list("blobs/")) == ["blobs/x"]
    assert other.size("blobs/x") is None


def test_a_prefix_is_claimed_once_and_again_by_its_owner(minio, bucket, admin, s3):
    s3.claim()
    S3Store(minio.config(bucket=bucket)).claim()
    stored = admin.get_object(bucket, "space/demo/owner.json")
    assert json.loads(stored.read()) == {"owner": "this cluster"}
    stored.close()


def test_a_bucket_of_a_store_that_is_made_with_us_is_made_too(minio):
    config = minio.config(bucket=f"b-{uuid.uuid4().hex[:12]}", create_bucket=True)
    S3Store(config).claim()
    S3Store(config).claim()
    S3Store(config).put("blobs/x", b"1")


def test_keys_in_a_folder_are_read_again_when_they_are_replaced(
    minio, bucket, tmp_path
):
    (tmp_path / "access-key").write_text(ACCESS_KEY)
    (tmp_path / "secret-key").write_text("old")
    changes = {"access_key": "", "secret_key": "", "credentials": tmp_path}
    store = S3Store(minio.config(bucket=bucket, **changes))
    with pytest.raises(StoreFullError, match="SignatureDoesNotMatch"):
        store.put("blobs/x", b"1")
    (tmp_path / "new").write_text(f"{SECRET_KEY}\n")
    (tmp_path / "new").replace(tmp_path / "secret-key")
    store.put("blobs/x", b"1")
    (tmp_path / "secret-key").unlink()
    with pytest.raises(ConfigError, match="secret-key"):
        store.get("blobs/x")


def test_a_prefix_of_another_owner_is_refused_by_its_name(minio, bucket, s3):
    s3.claim()
    stranger = S3Store(minio.config(bucket=bucket, owner="another cluster"))
    with pytest.raises(ConflictError, match="belongs to this cluster") as caught:
        stranger.claim()
    assert "choose another prefix" in caught.value.cure


def test_a_prefix_that_something_else_uses_is_refused(admin, bucket, s3, tmp_path):
    (tmp_path / "theirs").write_text("not ours")
    admin.fput_object(bucket, "space/demo/owner.json", tmp_path / "theirs")
    with pytest.raises(CorruptError, match=r"owner\.json"):
        s3.claim()


def test_an_address_reads_the_object_and_its_ranges_without_credentials(s3):
    s3.put("datasets/a b/d/x", b"0123456789")
    url = s3.url("datasets/a b/d/x")
    assert urllib3.request("GET", url).data == b"0123456789"
    part = urllib3.request("GET", url, headers={"Range": "bytes=2-4"})
    assert (part.status, part.data) == (206, b"234")


def test_an_address_writes_nothing_and_ends(minio, bucket, s3):
    s3.put("blobs/x", b"1")
    assert urllib3.request("PUT", s3.url("blobs/x"), body=b"2").status == 403
    short = S3Store(minio.config(bucket=bucket, url_seconds=1))
    assert "X-Amz-Expires=1&" in short.url("blobs/x")


def test_a_big_file_is_sent_in_parts_and_is_one_object(s3, tmp_path):
    data = bytes(range(256)) * (20 * MIB // 256)
    (tmp_path / "pack").write_bytes(data)
    s3.put_file("datasets/D/d/packs/0", tmp_path / "pack")
    assert s3.size("datasets/D/d/packs/0") == len(data)
    assert s3.get_range("datasets/D/d/packs/0", 8 * MIB - 2, 4) == b"\xfe\xff\x00\x01"


def test_a_write_whose_answer_was_lost_is_repeated_with_the_same_bytes(minio, bucket):
    with cutting_proxy(minio.address) as proxy:
        store = S3Store(minio.config(bucket=bucket, endpoint=proxy.address))
        proxy.answers_to_drop = 1
        store.put("blobs/x", b"answer")
        assert len([r for r in proxy.requests if r.startswith("PUT ")]) == 2
    assert S3Store(minio.config(bucket=bucket)).get("blobs/x") == b"answer"


def test_a_write_that_is_never_answered_ends_with_a_time_out(minio, bucket):
    with cutting_proxy(minio.address) as proxy:
        store = S3Store(
            minio.config(bucket=bucket, endpoint=proxy.address, read_seconds=0.3)
        )
        proxy.answers_to_drop, proxy.stall = 100, True
        with pytest.raises(StoreUnavailableError, match="blobs/x") as caught:
            store.put("blobs/x", b"answer")
    assert "object store is up" in caught.value.cure


def test_a_server_that_is_gone_is_named_and_comes_back(tmp_path, minio):
    with running_minio(tmp_path) as server:
        Minio(server.address, ACCESS_KEY, SECRET_KEY, secure=False).make_bucket("eval")
        store = S3Store(server.config(read_seconds=0.3))
        store.put("blobs/x", b"1")
        server.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, server.process.pid, os.WSTOPPED)
        with pytest.raises(StoreUnavailableError, match=server.address):
            store.get("blobs/x")
        server.process.send_signal(signal.SIGCONT)
        assert store.get("blobs/x") == b"1"
        server.process.kill()
        server.process.wait(10)
        with pytest.raises(StoreUnavailableError, match=server.address):
            store.size("blobs/x")


@pytest.mark.parametrize(
    ("change", "said", "cure"),
    [
        ({"bucket": "absent"}, "NoSuchBucket", "create"),
        ({"secret_key": "wrong"}, "SignatureDoesNotMatch", "secret key"),
        ({"access_key": "nobody"}, "InvalidAccessKeyId", "access key"),
        ({"access_key": "", "secret_key": ""}, "AccessDenied", "s3:PutObject"),
    ],
)
def test_a_refusal_names_the_reason_and_the_cure(minio, bucket, change, said, cure):
    store = S3Store(minio.config(**{"bucket": bucket, **change}))
    for attempt in (lambda: store.put("blobs/x", b"1"), lambda: store.get("blobs/x")):
        with pytest.raises(StoreFullError, match=said) as caught:
            attempt()
        assert cure in caught.value.cure


def test_a_lost_bucket_is_not_taken_for_lost_objects(minio):
    store = S3Store(minio.config(bucket="absent"))
    with pytest.raises(StoreFullError, match="no such bucket"):
        store.size("runs/r/tasks/m/d/completions/00000001/00000000.seg")
    with pytest.raises(StoreFullError, match="NoSuchBucket"):
        list(store.list("runs/r/"))


@pytest.fixture
def readable_bucket(admin, bucket):
    """A bucket whose objects anybody may read."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    admin.set_bucket_policy(bucket, json.dumps(policy))
    return bucket


def test_who_may_only_read_is_told_so_when_writing(minio, readable_bucket):
    owner = S3Store(minio.config(bucket=readable_bucket))
    owner.put("blobs/x", b"1")
    reader = S3Store(minio.config(bucket=readable_bucket, access_key="", secret_key=""))
    assert reader.get("blobs/x") == b"1"
    with pytest.raises(StoreFullError, match="AccessDenied"):
        reader.put("blobs/x", b"2")
    assert owner.get("blobs/x") == b"1"


@pytest.fixture
def full_server(tmp_path, minio):
    """A server on a disk of 300 MB that holds a file of the caller's choice."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", disk]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    with running_minio(tmp_path, data=disk / "data") as server:
        yield server, disk / "ballast"
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_of_the_server_is_said_and_nothing_is_lost(full_server):
    server, ballast = full_server
    Minio(server.address, ACCESS_KEY, SECRET_KEY, secure=False).make_bucket("eval")
    store = S3Store(server.config())
    store.put("blobs/x", b"old")
    ballast.write_bytes(bytes(299 * MIB))
    with pytest.raises(StoreFullError, match="blobs/x") as caught:
        store.put("blobs/x", bytes(4 * MIB))
    assert "make room" in caught.value.cure
    assert store.get("blobs/x") == b"old"


@pytest.fixture
def tls_server(tmp_path, minio):
    """A server whose certificate no system trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certs = tmp_path / "certs"
    certs.mkdir()
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
    command += " -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", certs / "private.key", "-out", certs / "public.crt"]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    with running_minio(tmp_path) as server:
        yield server


def test_a_private_authority_is_trusted_when_named_and_missed_when_not(tls_server):
    store = S3Store(tls_server.config())
    store._client.make_bucket("eval")
    store.put("blobs/x", b"1")
    assert store.get("blobs/x") == b"1"
    assert store.url("blobs/x").startswith("https://")
    stranger = S3Store(tls_server.config(ca_file=None))
    with pytest.raises(StoreUnavailableError, match="blobs/x") as caught:
        stranger.get("blobs/x")
    assert "certificate authority" in caught.value.cure
