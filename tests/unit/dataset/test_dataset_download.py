"""Downloads survive cuts, and what a server does wrong is told apart."""

from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
import subprocess

import pytest

from assay.domain.errors import (
    DatasetError,
    DigestMismatchError,
    SourceUnavailableError,
    StoreFullError,
    UnavailableError,
)
from assay.domain.prepared import PrepareStage
from assay.store import keys
from support.dataset_process import mcq_rows, write_tsv
from support.dataset_service import make_service, ready, request
from support.faulty_server import faulty_server


@pytest.fixture
def content(tmp_path):
    return write_tsv(tmp_path / "any.tsv", mcq_rows(3)).read_bytes()


@pytest.fixture
def service(tmp_path):
    return make_service(tmp_path / "cache")[0]


async def test_a_download_is_hashed_kept_by_content_and_not_repeated(tmp_path, content):
    service, store = make_service(tmp_path / "cache")
    async with faulty_server(content) as server:
        wanted = request("Mine", url=f"{server.url}/mine.tsv")
        ref, told = await ready(service, wanted)
        await service.delete("Mine", ref.digest)
        again, told_again = await ready(service, wanted)
    assert again == ref
    assert len(server.requests) == 1
    assert store.get(keys.blob(hashlib.sha256(content).hexdigest())) == content
    assert PrepareStage.FETCHING in {step.stage for step in told}
    assert PrepareStage.FETCHING not in {step.stage for step in told_again}


async def test_a_kept_download_that_is_damaged_is_fetched_again(tmp_path, content):
    service, store = make_service(tmp_path / "cache")
    async with faulty_server(content) as server:
        wanted = request("Mine", url=f"{server.url}/mine.tsv")
        ref, _ = await ready(service, wanted)
        await service.delete("Mine", ref.digest)
        store.put(keys.blob(ref.source_digest), content[:-1])
        again, _ = await ready(service, wanted)
    assert again == ref
    assert len(server.requests) == 2


async def test_a_download_goes_on_where_the_server_went_silent(service, content):
    async with faulty_server(content, "stall:500", "stall:100", "refuse") as server:
        ref, _ = await ready(service, request("Mine", url=f"{server.url}/m.tsv"))
    assert ref.source_md5 == hashlib.md5(content).hexdigest()
    ranges = [seen.get("range") for seen in server.requests]
    assert [told.partition("-")[0] for told in ranges] == [
        "bytes=0",
        "bytes=500",
        "bytes=600",
        "bytes=600",
    ]


async def test_a_later_process_goes_on_where_an_earlier_one_gave_up(tmp_path, content):
    faults = ["stall:700", *["refuse"] * 20]
    async with faulty_server(content, *faults) as server:
        wanted = request("Mine", url=f"{server.url}/m.tsv")
        with pytest.raises(SourceUnavailableError, match="attempts in a row"):
            await ready(make_service(tmp_path / "cache")[0], wanted)
        server.faults.clear()
        await ready(make_service(tmp_path / "cache")[0], wanted)
    assert server.requests[-1]["range"].startswith("bytes=700-")


async def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(
    service, content
):
    async with faulty_server(content, "stall:500", "no-range") as server:
        ref, _ = await ready(service, request("Mine", url=f"{server.url}/m.tsv"))
    assert ref.source_md5 == hashlib.md5(content).hexdigest()


async def test_a_cut_connection_costs_one_more_request(service, content):
    async with faulty_server(content, "cut:500") as server:
        ref, _ = await ready(service, request("Mine", url=f"{server.url}/m.tsv"))
    assert ref.source_md5 == hashlib.md5(content).hexdigest()
    assert len(server.requests) == 2


async def test_a_server_that_lies_about_the_length_is_given_up(service, content):
    async with faulty_server(content, announce=len(content) + 9) as server:
        with pytest.raises(SourceUnavailableError) as failed:
            await ready(service, request("Mine", url=f"{server.url}/m.tsv"))
    assert failed.value.cure


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_server_is_asked_again(service, content, status):
    async with faulty_server(content, f"status:{status}") as server:
        await ready(service, request("Mine", url=f"{server.url}/m.tsv"))
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_server_that_will_not_is_asked_once(service, content, status):
    async with faulty_server(content, f"status:{status}") as server:
        with pytest.raises(DatasetError, match=f"answered {status}"):
            await ready(service, request("Mine", url=f"{server.url}/m.tsv"))
    assert len(server.requests) == 1


async def test_a_web_page_is_no_dataset(service):
    page = b"<!doctype html><title>Sign in</title>"
    async with faulty_server(page, content_type="text/html; charset=utf-8") as server:
        with pytest.raises(DatasetError, match="a web page instead of the file"):
            await ready(service, request("Mine", url=f"{server.url}/m.tsv"))


async def test_the_wrong_bytes_are_refused_and_not_kept(tmp_path, service, content):
    async with faulty_server(content) as server:
        wanted = request("Mine", url=f"{server.url}/m.tsv", md5="0" * 32)
        with pytest.raises(DigestMismatchError, match="0" * 32):
            await ready(service, wanted)
    assert not (tmp_path / "cache" / "blobs").exists()
    assert not list((tmp_path / "cache" / "partial").glob("*/*"))


async def test_upstreams_address_is_reached_through_a_mirror(service, content):
    async with faulty_server(content) as server:
        mirrors = {"https://opencompass.openxlab.space/utils": f"{server.url}/copy"}
        with pytest.raises(DigestMismatchError, match="VLMEvalKit expects"):
            await ready(service, request("MMStar", mirrors))
    assert server.requests[0]["target"].startswith("GET /copy/VLMEval/MMStar.tsv ")


async def test_nobody_at_the_address_is_a_transient_trouble(service):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SourceUnavailableError, match=f"127.0.0.1:{port}"):
            await ready(service, request("Mine", url=f"http://127.0.0.1:{port}/m"))


async def test_a_file_larger_than_the_disk_is_refused_before_it_is_fetched(
    service, content
):
    async with faulty_server(content, announce=2**60) as server:
        with pytest.raises(StoreFullError, match="are still to come"):
            await ready(service, request("Mine", url=f"{server.url}/m.tsv"))


async def test_the_service_stops_in_the_middle_of_a_download(service, content):
    async with faulty_server(content, "stall:300") as server:
        steps = service.prepare(request("Mine", url=f"{server.url}/m.tsv"))
        await anext(steps)
        await service.stop()
        with pytest.raises(UnavailableError, match="going away"):
            [step async for step in steps]


@pytest.mark.parametrize("url", ["ftp://host/x.tsv", "nonsense", "http:///x"])
async def test_what_is_no_address_is_refused(service, url):
    with pytest.raises(DatasetError, match="no http"):
        await ready(service, request("Mine", url=url))


async def test_s3_without_an_endpoint_says_what_to_set(service):
    with pytest.raises(DatasetError, match="no S3 endpoint is configured"):
        await ready(service, request("Mine", s3="s3://bucket/mine.tsv"))


@pytest.fixture
def self_signed(tmp_path):
    """A TLS server's side with a certificate that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
    words = [*command.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_nobody_vouches_for_is_refused(
    service, content, self_signed
):
    async with faulty_server(content, tls=self_signed) as server:
        with pytest.raises(DatasetError, match="certificate") as refused:
            await ready(service, request("Mine", url=f"{server.url}/m.tsv"))
    assert "mend the server's certificate" in str(refused.value.cure)
    assert server.requests == []
