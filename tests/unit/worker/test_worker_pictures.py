"""Pictures come out of packs by range, verified."""

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from assay.domain.errors import ConfigError, CorruptError, StoreUnavailableError
from assay.domain.prompt import PicturePart
from assay.worker.pictures import PictureReader
from support.api_server import make_certificates

PACK = bytes(range(256)) * 8


def part(url: str, offset: int, length: int, data: bytes = PACK) -> PicturePart:
    digest = hashlib.sha256(data[offset : offset + length]).hexdigest()
    return PicturePart(digest=digest, key="", offset=offset, length=length, url=url)


@pytest.fixture
def reader() -> Iterator[PictureReader]:
    reader = PictureReader()
    yield reader
    reader.close()


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "a pack ü.pack"
    path.write_bytes(PACK)
    return path


class Ranges(BaseHTTPRequestHandler):
    """Serves PACK by range; /whole ignores the range, /gone is not there."""

    def do_GET(self) -> None:
        if self.path.startswith("/gone"):
            self.send_error(403)
            return
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        whole = self.path == "/whole"
        body = PACK if whole else PACK[int(first) : int(last) + 1]
        self.send_response(200 if whole else 206)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_picture_is_the_bytes_of_its_range(reader: PictureReader, pack: Path) -> None:
    assert reader.read(part(pack.as_uri(), 100, 50)) == PACK[100:150]


def test_a_picture_from_an_address_is_the_bytes_of_its_range(
    reader: PictureReader, address: str
) -> None:
    assert reader.read(part(f"{address}/pack", 100, 50)) == PACK[100:150]


@pytest.mark.parametrize("where", ["/whole", "/gone?signature=secret"])
def test_an_address_that_serves_no_range_can_be_tried_again(
    reader: PictureReader, address: str, where: str
) -> None:
    with pytest.raises(StoreUnavailableError) as error:
        reader.read(part(address + where, 100, 50))
    assert "secret" not in str(error.value)


def test_a_dead_address_can_be_tried_again(reader: PictureReader) -> None:
    with pytest.raises(StoreUnavailableError):
        reader.read(part("http://127.0.0.1:9/pack", 0, 1))


def test_changed_bytes_are_corrupt(reader: PictureReader, pack: Path) -> None:
    asked = part(pack.as_uri(), 100, 50)
    pack.write_bytes(b"x" * len(PACK))
    with pytest.raises(CorruptError, match="is not what was stored"):
        reader.read(asked)


def test_a_cut_pack_is_corrupt(reader: PictureReader, pack: Path) -> None:
    asked = part(pack.as_uri(), 2000, 48)
    pack.write_bytes(PACK[:2010])
    with pytest.raises(CorruptError, match="10 of 48 bytes"):
        reader.read(asked)


def test_a_missing_pack_can_be_tried_again(
    reader: PictureReader, tmp_path: Path
) -> None:
    with pytest.raises(StoreUnavailableError, match="No such file"):
        reader.read(part((tmp_path / "none").as_uri(), 0, 1))


def test_many_packs_keep_few_descriptors_open(
    reader: PictureReader, tmp_path: Path
) -> None:
    for number in range(100):
        path = tmp_path / str(number)
        path.write_bytes(PACK)
        assert reader.read(part(path.as_uri(), number, 7)) == PACK[number : number + 7]
    assert len(reader._files) == 64


@pytest.fixture
def private(tmp_path: Path) -> Iterator[str]:
    """The address of a server whose certificate no system trusts."""
    make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "api.crt", tmp_path / "api.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_store_of_a_private_authority_is_read_when_that_is_named(
    private: str, tmp_path: Path
) -> None:
    with closing(PictureReader(tmp_path / "ca.crt")) as reader:
        assert reader.read(part(f"{private}/p", 5, 10)) == PACK[5:15]
    with (
        closing(PictureReader()) as stranger,
        pytest.raises(StoreUnavailableError, match="certificate"),
    ):
        stranger.read(part(f"{private}/p", 5, 10))


def test_an_authority_that_is_not_mounted_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mount the Secret"):
        PictureReader(tmp_path / "none.crt")
