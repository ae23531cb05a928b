"""Makes the JPEG that VLMEvalKit would send for a picture, byte for byte, straight from its source.

`prepare_packs.py` calls it, two pictures at a time. Upstream writes every picture to a file first (a
PNG, or whatever its `image_path` says) and encodes that file again for each request. A PNG of a mode
that it keeps losslessly changes nothing, so it is left out; every other detour is taken, in memory.
"""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from contextlib import nullcontext

import pybase64
from PIL import Image

from assay.domain.run import PicturePolicy

MAX_PIXELS = 178_956_970
"""Pictures that declare more are refused unread: Pillow's own line between a picture and a bomb. As
RGB it is 0.5 GiB; the largest picture of the documented datasets is far below."""

_ALONE_PIXELS = 16_000_000
"""Pictures above this are decoded one at a time, so that two threads do not need twice the memory."""

_FORMATS = (
    "PNG",
    "JPEG",
    "GIF",
    "WEBP",
    "BMP",
    "TIFF",
    "PPM",
    "JPEG2000",
    "DIB",
)
"""What a picture may be. Pillow knows more, and some of those start programs."""

_TO_RGB = ("RGBA", "P", "LA")
_LOSSLESS_AS_PNG = frozenset({"1", "L", "RGB"})

_alone = threading.Lock()

# All readers at once, before a seal closes the file system.
Image.init()


class PictureError(Exception):
    """Why a picture cannot be sent, for people; one sample's trouble, never a dataset's."""


def picture_file(raw: bytes, extension: str) -> bytes:
    """The file that upstream would write, for a model that opens files.

    Raises:
        PictureError: upstream could not write it either, or it is a bomb.
    """
    return _made(raw, lambda image: _file(image, extension.lower()))


def picture_bytes(text: str) -> bytes:
    """Decodes base64 as upstream does: characters outside the alphabet are skipped.

    Raises:
        PictureError: that leaves no base64.
    """
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        pass
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise PictureError(f"the cell is not base64: {error}") from error


def wire_picture(raw: bytes, extension: str, policy: PicturePolicy) -> bytes:
    """The JPEG for the wire.

    Args:
        raw: the picture as the dataset has it.
        extension: of the file upstream would write first, with its dot, in any case.
        policy: the model's picture settings.

    Raises:
        PictureError: upstream could not send it either, or it is a bomb.
    """
    return _made(
        raw, lambda image: _encode(_after_file(image, extension.lower()), policy)
    )


def _made(raw: bytes, make: Callable[[Image.Image], bytes]) -> bytes:
    """What `make` makes of the decoded picture.

    Raises:
        PictureError: it cannot be decoded, or made, or it is a bomb.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(raw), formats=_FORMATS)
    except (
        Exception
    ) as error:  # Pillow's readers raise nearly anything on hostile bytes
        raise PictureError(f"the picture cannot be decoded: {_text(error)}") from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"the picture declares {width} x {height} pixels, more than the {MAX_PIXELS} allowed"
        )
    with _alone if width * height > _ALONE_PIXELS else nullcontext():
        try:
            if image.mode in _TO_RGB:
                image = image.convert("RGB")
            image.load()
        except Exception as error:  # as above: decoding goes on here
            raise PictureError(
                f"the picture cannot be decoded: {_text(error)}"
            ) from error
        try:
            return make(image)
        except (
            Exception
        ) as error:  # upstream's request would fail with this, every time
            raise PictureError(
                f"VLMEvalKit cannot send the picture (mode {image.mode}, {width} x {height}):"
                f" {_text(error)}"
            ) from error


def _after_file(image: Image.Image, extension: str) -> Image.Image:
    """What upstream reads back from the file it writes."""
    if extension == ".png" and image.mode in _LOSSLESS_AS_PNG:
        # Upstream's PNG keeps the pixels and loses the comment a JPEG would pass on. The picture is
        # loaded by now, so `thumbnail` cannot ask a JPEG decoder for a smaller draft of it either.
        image.info = {}
        return image
    return Image.open(io.BytesIO(_file(image, extension)))


def _file(image: Image.Image, extension: str) -> bytes:
    """What upstream writes into a file of this name."""
    written = Image.registered_extensions().get(extension)
    if written is None:
        raise ValueError(f"unknown file extension: {extension!r}")
    buffer = io.BytesIO()
    image.save(buffer, format=written)
    return buffer.getvalue()


def _encode(image: Image.Image, policy: PicturePolicy) -> bytes:
    from vlmeval.smp import encode_image_to_base64  # noqa: PLC0415 - only behind the shim

    text = encode_image_to_base64(
        image,
        target_size=policy.img_size if policy.img_size > 0 else -1,
        max_file_size=policy.max_file_size,
    )
    return pybase64.b64decode(text)


def _text(error: Exception) -> str:
    # Pillow names the buffer it read from by its address, which differs from run to run.
    return str(error).split(" <_io.")[0][:300] or type(error).__name__
