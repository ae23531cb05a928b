"""Reads pictures by range out of packs: files of this machine, or presigned addresses.

Blocking, for threads of the loop's own; packs stay open, as thousands of pictures come out of a few.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import urllib.error
import urllib.request
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit

from assay.domain.errors import ConfigError, CorruptError, StoreUnavailableError
from assay.domain.prompt import PicturePart

_OPEN_PACKS = 64
_READ_SECONDS = 30.0
_PARTIAL_CONTENT = 206


class PictureReader:
    """Reads and verifies pictures; `close` gives the descriptors back."""

    def __init__(self, store_ca: Path | None = None) -> None:
        """Has read nothing yet.

        Args:
            store_ca: the authority that signed the store's certificate; None: those the system trusts.

        Raises:
            ConfigError: the authority's file cannot be read.
        """
        # One lock: a descriptor must not be closed by one thread while another reads from it.
        self._lock = Lock()
        self._files: OrderedDict[str, int] = OrderedDict()
        # Addresses are ours; a proxy of the environment must not see them.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if store_ca is not None:
            handlers.append(urllib.request.HTTPSHandler(context=_trusting(store_ca)))
        self._opener = urllib.request.build_opener(*handlers)

    def read(self, picture: PicturePart) -> bytes:
        """The picture's bytes.

        Raises:
            StoreUnavailableError: the pack cannot be read now.
            CorruptError: these are not the bytes that were stored.
        """
        parts = urlsplit(picture.url)
        if parts.scheme == "file":
            data = self._from_file(unquote(parts.path), picture)
        else:
            data = self._from_address(picture)
        if hashlib.sha256(data).hexdigest() != picture.digest:
            raise CorruptError(
                f"picture {picture.digest} at {picture.offset} of {parts.path} is not what was stored "
                f"({len(data)} of {picture.length} bytes read)",
                cure="the cache is damaged: `assay datasets verify` names the dataset;"
                " `assay datasets rm` and `fetch` it, then `assay retry`",
            )
        return data

    def close(self) -> None:
        """Closes every pack."""
        with self._lock:
            while self._files:
                os.close(self._files.popitem()[1])

    def _from_file(self, path: str, picture: PicturePart) -> bytes:
        try:
            with self._lock:
                return os.pread(self._opened(path), picture.length, picture.offset)
        except OSError as error:
            raise StoreUnavailableError(
                f"cannot read picture {picture.digest} from {path}: {error.strerror}"
            ) from error

    def _opened(self, path: str) -> int:
        found = self._files.get(path)
        if found is None:
            found = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._files[path] = found
            if len(self._files) > _OPEN_PACKS:
                os.close(self._files.popitem(last=False)[1])
        self._files.move_to_end(path)
        return found

    def _from_address(self, picture: PicturePart) -> bytes:
        end = picture.offset + picture.length - 1
        where = urlsplit(picture.url)._replace(query="").geturl()
        if not where.startswith(("http://", "https://")):
            raise CorruptError(
                f"picture {picture.digest} stands at no address: {where}"
            )
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            picture.url, headers={"Range": f"bytes={picture.offset}-{end}"}
        )
        try:
            with self._opener.open(request, timeout=_READ_SECONDS) as answer:
                if answer.status != _PARTIAL_CONTENT:
                    raise StoreUnavailableError(f"{where} does not serve ranges")
                data: bytes = answer.read(picture.length)
                return data
        except OSError as error:  # URLError, HTTPError and time-outs among them
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            # The address is signed: its query is a secret.
            raise StoreUnavailableError(
                f"cannot read picture {picture.digest} from {where}: "
                f"{getattr(error, 'reason', error)}"
            ) from None


def _trusting(authority: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:  # an SSLError is one
        raise ConfigError(
            "store_ca_file",
            f"cannot read {authority}: {error.strerror or error}",
            "mount the Secret with the authority of the store there",
        ) from error
