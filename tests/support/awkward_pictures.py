"""Real pictures in every shape that upstream treats differently; the TSV factory calls it.

The pixels come from the photographs and the handwritten digits that scikit-learn ships.
"""

from __future__ import annotations

import base64
import io
from functools import cache

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image


@cache
def _photograph(name: str) -> Image.Image:
    return Image.fromarray(load_sample_image(name))


@cache
def _digits() -> np.ndarray:
    return load_digits().images


def crop(number: int, width: int, height: int) -> Image.Image:
    """A window of a photograph; another number is another window."""
    name = ("china.jpg", "flower.jpg")[number % 2]
    whole = _photograph(name)
    left = (number * 37) % max(1, whole.width - width)
    top = (number * 53) % max(1, whole.height - height)
    if width > whole.width or height > whole.height:
        return whole.resize((width, height))
    return whole.crop((left, top, left + width, top + height))


def digit(number: int, side: int) -> Image.Image:
    """A handwritten digit, grey, enlarged without smoothing."""
    pixels = (_digits()[number % 1797] * 15.9).astype(np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)


def cell(picture: Image.Image, form: str = "PNG", **options: object) -> str:
    """A TSV's picture cell: base64 of the file."""
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def _translucent(number: int) -> Image.Image:
    picture = crop(number, 180, 140).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture


def _palette(number: int) -> Image.Image:
    return crop(number, 150, 150).quantize(64)


def _large(number: int) -> tuple[int, int]:
    # Upstream needs half a second to write one as PNG; no two are the same.
    return (1100 + number, 1030) if number < 20 else (360, 280)


@cache
def awkward_cell(number: int) -> str:
    """One of ten shapes, in turn; the sixth has more than 1000 pixels a side the first two times."""
    shapes = (
        lambda: cell(_translucent(number)),
        lambda: cell(_palette(number), transparency=0),
        lambda: cell(digit(number, 160).convert("LA")),
        lambda: cell(digit(number, 128)),
        lambda: cell(crop(number, 60, 48)),
        lambda: cell(crop(number, *_large(number)), "JPEG", quality=90),
        lambda: cell(crop(number, 256, 256), "JPEG"),
        lambda: cell(digit(number, 8)),
        lambda: cell(crop(number, 320, 40), "JPEG", quality=40, progressive=True),
        lambda: cell(crop(number, 120, 110).convert("1")),
    )
    return shapes[number % len(shapes)]()


@cache
def small_cell(number: int) -> str:
    """The same shapes, each of at most 180 pixels: for tables whose pictures are not the point."""
    shapes = (
        lambda: cell(_translucent(number)),
        lambda: cell(_palette(number), transparency=0),
        lambda: cell(digit(number, 112).convert("LA")),
        lambda: cell(crop(number, 60, 48)),
        lambda: cell(crop(number, 128, 104), "JPEG"),
        lambda: cell(digit(number, 8)),
        lambda: cell(crop(number, 160, 40), "JPEG", quality=40, progressive=True),
        lambda: cell(crop(number, 120, 110).convert("1")),
        lambda: cell(_translucent(number), "WEBP", lossless=True),
        lambda: cell(_palette(number), "GIF"),
        lambda: cell(crop(number, 140, 112), "JPEG", exif=_turned()),
        lambda: cell(crop(number, 101, 104), "BMP"),
    )
    return shapes[number % len(shapes)]()


def _turned() -> Image.Exif:
    """A camera held upright: who obeys it shows another picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def unsendable_cell(number: int) -> str:
    """16 bits a pixel: it decodes, but upstream cannot make a JPEG of it."""
    deep = np.asarray(crop(number, 120, 120).convert("L")).astype(np.uint16) * 257
    return cell(Image.fromarray(deep))
