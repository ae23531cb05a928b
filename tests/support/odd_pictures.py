"""Pictures of every mode, format and size that upstream's codec path treats in its own way.

The prompt tests send each through VLMEvalKit and through us.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin
from sklearn.datasets import load_sample_image


def _file(picture, form="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def _notes():
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "a note")
    return notes


@cache
def odd_pictures() -> dict[str, bytes]:
    """The files, by what is odd about them."""
    return _of_modes() | _of_formats()


def _deep():
    grey = np.asarray(Image.fromarray(load_sample_image("china.jpg")).convert("L"))
    return grey.astype(np.uint16) * 257


def _see_through():
    picture = Image.fromarray(load_sample_image("china.jpg")).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture


def _icc():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _of_modes():
    photo = Image.fromarray(load_sample_image("china.jpg"))
    small = photo.crop((0, 0, 240, 180))
    see_through, deep, icc = _see_through(), _deep(), _icc()
    return {
        "rgb": _file(photo),
        "grey": _file(photo.convert("L")),
        "rgba": _file(see_through),
        "palette": _file(photo.quantize(60)),
        "palette transparent": _file(photo.quantize(60), transparency=3),
        "palette alphas": _file(photo.quantize(60), transparency=bytes(range(60))),
        "grey alpha": _file(see_through.convert("LA")),
        "bilevel": _file(photo.convert("1")),
        "grey with one transparent": _file(small.convert("L"), transparency=7),
        "rgb with one transparent": _file(small, transparency=(1, 2, 3)),
        "png with text and icc": _file(small, pnginfo=_notes(), icc_profile=icc),
        "png with dpi": _file(small, dpi=(300, 300)),
        "deep grey": _file(Image.fromarray(deep)),
        "integers": _file(Image.fromarray(deep.astype(np.int32)), "TIFF"),
        "floats": _file(Image.fromarray(deep.astype(np.float32)), "TIFF"),
    }  # fmt: skip


def _of_formats():
    photo = Image.fromarray(load_sample_image("china.jpg"))
    flower = Image.fromarray(load_sample_image("flower.jpg"))
    small = photo.crop((0, 0, 240, 180))
    see_through, icc = _see_through(), _icc()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "turned"
    return {
        "tiff": _file(small, "TIFF"),
        "tiff cmyk": _file(small.convert("CMYK"), "TIFF"),
        "tiff bilevel": _file(small.convert("1"), "TIFF", compression="group4"),
        "jpeg": _file(flower, "JPEG"),
        "jpeg cmyk": _file(flower.convert("CMYK"), "JPEG"),
        "jpeg grey": _file(flower.convert("L"), "JPEG", quality=30),
        "jpeg noted": _file(small, "JPEG", comment=b"a comment", exif=exif, icc_profile=icc),
        "jpeg progressive": _file(small, "JPEG", progressive=True, quality=95, dpi=(72, 72)),
        "jpeg 444": _file(small, "JPEG", subsampling=0, xmp=b"<x/>"),
        "mpo": _file(small, "MPO", save_all=True, append_images=[flower]),
        "gif": _file(small.quantize(32), "GIF", transparency=2),
        "gif animated": _file(small, "GIF", save_all=True, append_images=[flower]),
        "apng": _file(small, save_all=True, append_images=[small.rotate(90)]),
        "webp": _file(small, "WEBP"),
        "webp see-through": _file(see_through, "WEBP", lossless=True),
        "bmp": _file(small, "BMP"),
        "ppm": _file(small, "PPM"),
        "jpeg 2000": _file(small, "JPEG2000"),
        "8 px": _file(photo.resize((8, 8))),
        "1 px": _file(photo.resize((1, 1))),
        "8 px palette": _file(photo.resize((8, 8)).quantize(8)),
        "8 px bilevel": _file(photo.resize((9, 8)).convert("1")),
        "ribbon": _file(photo.resize((900, 11))),
        "99 px": _file(photo.resize((99, 240)), "JPEG"),
        "large": _file(photo.resize((1500, 1030))),
        "large jpeg": _file(flower.resize((1640, 1100)), "JPEG", quality=92),
        "too wide": _file(Image.new("L", (65_501, 3))),
        "cut jpeg": _file(photo, "JPEG")[:4000],
        "cut png": _file(photo)[:4000],
        "no picture": b"this is no picture at all, only words that go on for a while and on.",
        "web page": b"<!doctype html><html><body>Please sign in to continue</body></html>",
    }  # fmt: skip
