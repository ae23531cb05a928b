"""Objects in folders of one machine: what runs share in a cache, what one run leaves in its own folder.

Every service of a local run opens one. Writes go to a temporary file beside the object, are flushed
to the disk, and take the object's name at the end, so that a crash at any moment leaves the old object
or the new one and a reader never sees a part.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from assay.domain.errors import (
    NotFoundError,
    PermanentError,
    StoreFullError,
    StoreUnavailableError,
)
from assay.store.keys import parts_of

_TEMPORARY = ".tmp-"
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
_COPY_BYTES = 1024 * 1024


class FolderStore:
    """An ObjectStore over two folders.

    `blobs/` and `datasets/` stand in `cache`; of `runs/<id>/` the results are what a person opens in
    `run_dir`, everything else is in its `.assay/`.
    """

    def __init__(self, cache: Path, run_dir: Path | None = None) -> None:
        self._cache = cache.absolute()
        self._run_dir = run_dir.absolute() if run_dir is not None else None
        self._made: set[Path] = set()
        # Protects `_made`: calls come from several threads.
        self._made_lock = threading.Lock()

    def put(self, key: str, data: bytes) -> None:
        """Writes an object, whole and durable, over whatever was there."""
        path = self.path(key)
        with _translated("write", path), self._temporary(path) as temporary:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)

    def put_file(self, key: str, path: Path) -> None:
        """Writes an object from a file of the caller's, which is moved away where that is possible."""
        target = self.path(key)
        with _translated("write", target), self._temporary(target) as temporary:
            try:
                path.replace(temporary)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                shutil.copyfile(path, temporary)
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)

    def get(self, key: str) -> bytes:
        """Reads a whole object.

        Raises:
            NotFoundError: there is none.
        """
        path = self.path(key)
        with _translated("read", path):
            return path.read_bytes()

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Reads `length` bytes from `offset`; fewer where the object ends.

        Raises:
            NotFoundError: there is none.
        """
        path = self.path(key)
        with _translated("read", path), path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)

    def size(self, key: str) -> int | None:
        """Bytes of an object; None: there is none."""
        path = self.path(key)
        try:
            with _translated("look at", path):
                return path.stat().st_size
        except NotFoundError:
            return None

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with `prefix`, in order; unfinished writes are none."""
        folder_key = prefix.rpartition("/")[0]
        found: list[str] = []
        for root, base in self._roots(folder_key):
            with _translated("list", root):
                for parent, folders, names in os.walk(root, onerror=_unless_absent):
                    # The run's own state stands inside its results folder and is no result.
                    if Path(parent) == self._run_dir and ".assay" in folders:
                        folders.remove(".assay")
                    relative = Path(parent).relative_to(root)
                    found.extend(
                        str(PurePosixPath(base, relative, name))
                        for name in names
                        if not name.startswith(_TEMPORARY)
                    )
        yield from sorted(key for key in found if key.startswith(prefix))

    def folders(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names directly below `prefix` that have something below them, in key order."""
        keys = (key.removeprefix(prefix) for key in self.list(prefix))
        ordered = sorted({f"{key.split('/')[0]}/" for key in keys if "/" in key})
        yield from (name[:-1] for name in ordered if not after or name > f"{after}/")

    def delete(self, key: str) -> None:
        """Removes an object; none there is no error."""
        path = self.path(key)
        with _translated("delete", path), suppress(FileNotFoundError):
            path.unlink()

    def url(self, key: str) -> str:
        """The object's file:// address."""
        return self.path(key).as_uri()

    def path(self, key: str) -> Path:
        """Where an object stands.

        Raises:
            PermanentError: the key leaves the store, or belongs to a run where there is none.
        """
        parts = parts_of(key)
        if parts[0] in {"blobs", "datasets"}:
            return self._cache.joinpath(*parts)
        run_dir = self._of_run(key)
        if parts[2] == "results":
            return run_dir.joinpath(*parts[3:])
        return run_dir.joinpath(".assay", *parts[2:])

    def _of_run(self, key: str) -> Path:
        if self._run_dir is None:
            raise PermanentError(
                f"cannot place object {key!r}: this store was opened without a run's folder"
            )
        return self._run_dir

    def _roots(self, folder_key: str) -> Iterator[tuple[Path, str]]:
        parts = parts_of(folder_key, least=1)
        if parts[0] == "runs" and len(parts) == 2:  # noqa: PLR2004 - runs/<id>
            run_dir = self._of_run(folder_key)
            yield run_dir / ".assay", folder_key
            yield run_dir, f"{folder_key}/results"
        elif len(parts) == 1 and parts[0] in {"blobs", "datasets"}:
            yield self._cache / parts[0], folder_key
        elif parts[0] == "runs" and parts[2:] == ("results",):
            yield self._of_run(folder_key), folder_key
        else:
            yield self.path(folder_key), folder_key

    @contextmanager
    def _temporary(self, path: Path) -> Iterator[Path]:
        self._make_folder(path.parent)
        temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
        try:
            yield temporary
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def _make_folder(self, folder: Path) -> None:
        with self._made_lock:
            if folder in self._made and folder.is_dir():
                return
            missing = [each for each in (folder, *folder.parents) if not each.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            # A new folder's name is durable only once its parent is flushed too.
            for each in missing:
                _sync_folder(each.parent)
            self._made.add(folder)


def _unless_absent(error: OSError) -> None:
    if error.errno not in _ABSENT:
        raise error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(attempt: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _error_of(error, attempt, path) from error


def _error_of(error: OSError, attempt: str, path: Path) -> Exception:
    text = f"cannot {attempt} {path}: {error.strerror or error}"
    if error.errno in _ABSENT:
        return NotFoundError(text)
    if error.errno in _NO_SPACE:
        return StoreFullError(
            text, cure=f"make room on the file system of {path.parent}, then go on"
        )
    if error.errno in _READ_ONLY:
        return StoreFullError(
            text, cure=f"make {path.parent} writable for this user, then go on"
        )
    return StoreUnavailableError(text)
