"""An uploaded picture, read with suspicion: what it is is told by its content, how large it is before it is decoded.

    bytes ─ PNG, JPEG or WebP? ─ size in the header ─ decoded ─ turned as EXIF says ─ sRGB ─ on grey ─> uint8 BGR

Nothing but pixels comes out: EXIF, places, thumbnails and comments stay behind.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from opentalking.avatars.quality import PictureRefused, refusal
from opentalking.types import UInt8

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 50_000_000  # a phone's 48 megapixels; 49 of them take 0.36 GB as JPEG, 0.55 as RGBA, 0.93 as WebP (peak)
SMALLEST_SIDE = 64
WORKING_SIDE = 4096  # pictures are shrunk to this; a face that fills less than a thousandth is no portrait anyway
_BACKGROUND = (128, 128, 128)  # behind what is transparent


def read_picture(path: Path, most_bytes: int) -> UInt8:
    """The picture of a file as uint8 BGR (height, width, 3), the larger side at most WORKING_SIDE.

    Raises PictureRefused: too_large, not_an_image, damaged_image, image_too_small.
    """
    size = path.stat().st_size
    if size > most_bytes:
        raise refusal("too_large", f"the file has {_mb(size)}, at most {_mb(most_bytes)} are taken", size, most_bytes)
    return decode_picture(path.read_bytes())


def decode_picture(raw: bytes, most_pixels: int = MOST_PIXELS) -> UInt8:
    """As read_picture, of the file's content; one of more than `most_pixels` is too_large."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of sizes that are refused here, and of harmless EXIF
        try:
            image = Image.open(io.BytesIO(raw), formats=FORMATS)
        except Image.DecompressionBombError:
            raise _bomb(most_pixels) from None
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            raise refusal("not_an_image", "this is not a picture: send a PNG, JPEG or WebP file") from None
        with image:
            width, height = image.size
            if width * height > most_pixels:
                raise _bomb(most_pixels, width * height)
            if min(width, height) < SMALLEST_SIDE:
                message = f"the picture has {width}x{height} pixels; send one of at least {SMALLEST_SIDE} a side"
                raise refusal("image_too_small", message, min(width, height), SMALLEST_SIDE)
            try:
                return _pixels(image)
            except (OSError, ValueError, SyntaxError, MemoryError, EOFError):
                raise refusal("damaged_image", "the picture is damaged: open it, save it again and send that") from None


def _pixels(image: Image.Image) -> UInt8:
    if image.format == "JPEG":
        image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))  # decodes at a half or a quarter where that is enough
    image.load()
    if max(image.size) > WORKING_SIDE:  # before anything copies it
        image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX, reducing_gap=None)
    ImageOps.exif_transpose(image, in_place=True)
    return np.ascontiguousarray(np.asarray(_on_grey(image))[..., ::-1], np.uint8)


def _on_grey(image: Image.Image) -> Image.Image:
    """As 8-bit RGB in sRGB, transparent parts on grey."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a sample; Pillow would clip them
        return Image.fromarray((np.asarray(image, np.float32) / 256).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        flat = Image.new("RGBA", layered.size, (*_BACKGROUND, 255))
        flat.alpha_composite(layered)
        return _as_srgb(flat.convert("RGB"), image.info.get("icc_profile"))
    return _as_srgb(image.convert("RGB"), image.info.get("icc_profile") if image.mode in ("RGB", "P") else None)


def _as_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Phones photograph in wider colours than screens are told; without this faces come out pale."""
    if not profile:
        return image
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a broken profile is no reason to refuse
    return converted if converted is not None else image


def write_png(path: Path, bgr: UInt8) -> None:
    """Write a picture; raises OSError if the disk does not take it."""
    done, coded = cv2.imencode(".png", bgr)
    if not done:
        raise OSError(f"{path.name}: cannot be written as PNG")
    path.write_bytes(coded.tobytes())


def _bomb(most_pixels: int, pixels: int | None = None) -> PictureRefused:
    message = f"the picture has more than {most_pixels // 1_000_000} megapixels; send a smaller one"
    return refusal("too_large", message, pixels, most_pixels)


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
