"""Uploaded pictures: what they are is told by their content, and nothing large is decoded to find out."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from opentalking.avatars.picture import MOST_PIXELS, WORKING_SIDE, decode_picture, read_picture
from opentalking.avatars.quality import PictureRefused
from opentalking.types import UInt8
from tests.portraits import jpeg, png

RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)  # BGR


def quarters(width: int = 120, height: int = 80) -> UInt8:
    """Red and green above, blue and white below."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = RED, GREEN
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = BLUE, WHITE
    return picture


def coded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def rgb(bgr: UInt8) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))


def refused(raw: bytes) -> str:
    with pytest.raises(PictureRefused) as told:
        decode_picture(raw)
    assert told.value.report.verdict == "refuse"
    return told.value.code


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_format_gives_its_pixels(kind: str) -> None:
    found = decode_picture(coded(rgb(quarters()), kind, quality=95))
    assert found.dtype == np.uint8
    assert np.abs(found[10::40, 10::60].astype(int) - quarters()[10::40, 10::60]).max() < 12


# what a camera that was held so writes: how the stored pixels come from the upright picture
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_is_turned_as_its_camera_was_held(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](quarters()))
    assert np.array_equal(decode_picture(coded(rgb(stored), "PNG", exif=exif)), quarters())


def test_a_bomb_is_refused_by_its_header() -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        bomb += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    tracemalloc.start()
    assert refused(bomb) == "too_large"
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_picture_a_little_over_the_limit_is_refused_like_a_bomb() -> None:
    side = int(MOST_PIXELS**0.5) + 50
    assert refused(coded(Image.new("L", (side, side)), "PNG")) == "too_large"


@pytest.mark.parametrize(
    "raw",
    [b"", b"hello, I am a text called photo.jpg", b"\xff\xd8\xff", b"GIF89a" + bytes(50), b"<svg/>", b"BM" + bytes(60)],
)
def test_what_is_no_picture_of_ours_is_refused(raw: bytes) -> None:
    assert refused(raw) == "not_an_image"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_ends_in_the_middle_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    raw = coded(rgb(noise), kind)
    assert refused(raw[: len(raw) // 2]) in ("damaged_image", "not_an_image")


def test_a_stamp_is_refused() -> None:
    assert refused(png(quarters(40, 40))) == "image_too_small"


def test_what_is_transparent_lies_on_grey() -> None:
    layered = np.dstack([quarters(), np.full((80, 120), 255, np.uint8)])
    layered[:40, :60, 3] = 0
    found = decode_picture(cv2.imencode(".png", layered)[1].tobytes())
    assert found[10, 10].tolist() == [128, 128, 128]
    assert found[70, 10].tolist() == list(BLUE)


def test_cmyk_16_bit_grey_and_palettes_come_out_as_colours() -> None:
    cmyk = decode_picture(coded(rgb(quarters()).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk[10, 10].astype(int) - RED).max() < 40
    deep = np.full((80, 80), 40_000, np.uint16)
    assert decode_picture(cv2.imencode(".png", deep)[1].tobytes())[0, 0].tolist() == [156, 156, 156]
    assert decode_picture(coded(rgb(quarters()).convert("L"), "JPEG")).shape == (80, 120, 3)
    assert decode_picture(coded(rgb(quarters()).convert("P"), "PNG"))[10, 10].tolist() == list(RED)


def test_a_profile_is_applied_and_a_broken_one_ignored() -> None:
    grey = rgb(np.full((80, 80, 3), 100, np.uint8))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode_picture(coded(grey, "PNG", icc_profile=lab))[0, 0].tolist() == [100, 100, 100]
    assert decode_picture(coded(grey, "PNG", icc_profile=b"no profile"))[0, 0].tolist() == [100, 100, 100]


def test_large_photos_are_shrunk_for_the_work() -> None:
    raw = jpeg(np.zeros((3000, 6000, 3), np.uint8))
    assert max(decode_picture(raw).shape) <= WORKING_SIDE


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(png(quarters()))
    assert read_picture(path, 10_000).shape == (80, 120, 3)
    with pytest.raises(PictureRefused) as told:
        read_picture(path, 100)
    assert told.value.code == "too_large"
