"""Files for people and programs are there whole or not at all: pages and exports are written through here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from assay.domain.errors import StoreUnavailableError


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """Gives a path to write to, which becomes `file` at the end; what fails leaves `file` as it was.

    Devices and pipes (`/dev/stdout`) are written in place.

    Raises:
        StoreUnavailableError: it cannot be written.
    """
    in_place = file.exists() and not file.is_file()
    # A link stays one: what it points to is replaced.
    target = file.resolve()
    path = file if in_place else target.with_name(f".{target.name}.tmp")
    try:
        yield path
        if not in_place:
            path.replace(target)
    except OSError as error:
        where = error.filename if error.filename not in {None, str(path)} else file
        raise StoreUnavailableError(
            f"cannot write {where}: {error.strerror or error}",
            cure="make room, or name a file in a folder that is there and can be written",
        ) from error
    finally:
        if not in_place:
            with suppress(OSError):
                path.unlink()
