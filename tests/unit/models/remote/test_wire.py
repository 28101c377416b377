"""The protocol's bytes: recorded ones as the original's, and what does not fit is refused by name."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from opentalking.models.remote import wire
from opentalking.models.remote.wire import Geometry, Opening, RemoteRefusal, WireError

PNG = bytes.fromhex("89504e470d0a1a0a")

# as recorded between the original's client and its server
INIT = '{"type":"init","ref_image":"iVBORw0KGgo=","prompt":"A person","seed":9999,"width":416,"height":704,"fps":25}'
INIT_OK = '{"type":"init_ok","frame_num":33,"motion_frames_num":5,"slice_len":28,"fps":25,"height":704,"width":416}'
CREATE = (
    '{"type":"session.create","model":"soulx-flashhead-1.3b","inputs":{"image_b64":"iVBORw0KGgo=","prompt":"A person"},'
    '"config":{"width":512,"height":512,"fps":25}}'
)
CREATED = (
    '{"type":"session.created","session_id":"s1","audio":{"sample_rate":16000,"chunk_samples":17920},'
    '"video":{"fps":25,"width":512,"height":512,"frame_count":29,"motion_frames_num":1}}'
)
FLASHTALK = Geometry(
    slice_len=28, fps=25, width=416, height=704, chunk_samples=17_920, frame_num=33, motion_frames_num=5
)


def test_an_opening_says_all_that_the_recorded_one_says() -> None:
    opening = Opening(ref_image=PNG, prompt="A person", width=416, height=704)
    said = json.loads(wire.encode_opening(opening, "omnirt"))
    assert said.items() >= json.loads(INIT).items()
    assert not any("path" in field or "dir" in field for field in said)


def test_the_recorded_opening_is_understood() -> None:
    opening, dialect = wire.parse_opening(INIT)
    assert dialect == "omnirt"
    assert (opening.ref_image, opening.width, opening.height, opening.prompt) == (PNG, 416, 704, "A person")
    assert opening.extensions == frozenset()  # a client that does not ask for ours does not get them


def test_what_a_server_answered_is_understood_without_its_chunk_size() -> None:
    assert wire.parse_geometry(INIT_OK, "omnirt") == FLASHTALK


def test_a_chunk_lasts_as_long_as_its_pictures() -> None:
    answer = '{"slice_len":28,"fps":30,"width":512,"height":512}'
    assert wire.parse_geometry(answer, "omnirt").chunk_samples == 14_933


def test_flashhead_is_spoken_in_its_own_words() -> None:
    opening = Opening(ref_image=PNG, prompt="A person", width=512, height=512, model="soulx-flashhead-1.3b")
    said = json.loads(wire.encode_opening(opening, "flashhead"))
    assert said.items() >= json.loads(CREATE).items()
    heard, dialect = wire.parse_opening(CREATE)
    assert (dialect, heard.ref_image, heard.width, heard.prompt) == ("flashhead", PNG, 512, "A person")
    assert wire.closing("flashhead") == '{"type":"session.close"}'


def test_flashheads_answer_is_the_same_geometry() -> None:
    geometry = wire.parse_geometry(CREATED, "flashhead")
    assert (geometry.chunk_samples, geometry.slice_len, geometry.fps) == (17_920, 28, 25)
    assert (geometry.width, geometry.frame_num, geometry.motion_frames_num) == (512, 29, 1)


def test_sound_of_another_rate_is_not_promised() -> None:
    with pytest.raises(WireError, match="the server wants sound of 24000 Hz; we have 16000 Hz"):
        wire.parse_geometry(CREATED.replace("16000", "24000"), "flashhead")


@pytest.mark.parametrize("dialect", ["omnirt", "flashhead"])
def test_a_geometry_arrives_as_it_was_sent(dialect: wire.Dialect) -> None:
    geometry = Geometry(
        slice_len=8,
        fps=25,
        width=512,
        height=640,
        chunk_samples=5120,
        frame_num=8,
        pipeline=4,
        extensions=wire.EXTENSIONS,
        lookahead_ms=120,
    )
    assert wire.parse_geometry(wire.encode_geometry(geometry, dialect, "s1"), dialect) == geometry


def test_sound_is_audi_and_little_endian() -> None:
    assert wire.encode_sound(np.array([1, -2, 0x1234], np.int16)) == bytes.fromhex("41554449 0100 feff 3412")
    assert wire.parse_sound(bytes.fromhex("41554449 0100 feff 3412")).tolist() == [1, -2, 0x1234]


def test_a_recorded_chunk_of_flashtalk_has_its_size() -> None:
    assert len(wire.encode_sound(np.zeros(17_920, np.int16))) == 35_844


def test_pictures_are_vidx_a_count_and_each_its_length() -> None:
    recorded = bytes.fromhex("56494458 02000000 03000000 ffd8ff 01000000 00")
    assert wire.encode_pictures([b"\xff\xd8\xff", b"\x00"]) == recorded
    assert wire.parse_pictures(recorded) == [b"\xff\xd8\xff", b"\x00"]
    many = wire.encode_pictures([b"\xff\xd8"] * 28)
    assert many[:8] == bytes.fromhex("56494458 1c000000")
    assert len(wire.parse_pictures(many)) == 28


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"VIDY\0\0\0\0", r"pictures begin with VIDX, not b'VIDY'"),
        (b"VIDX\0\0", "an answer of 6 bytes is cut off"),
        (b"VIDX" + struct.pack("<II", 1, 9) + b"1234", "picture 0 of 1 is cut off: 4 of 9 bytes"),
        (b"VIDX" + struct.pack("<I", 2_000_000_000), "2000000000 pictures in one answer"),
        (b"VIDX" + struct.pack("<II", 1, 4_000_000_000), "picture 0 of 1 is cut off: 0 of 4000000000 bytes"),
        (b"VIDX" + struct.pack("<I", 0) + b"more", "4 bytes follow the last picture"),
    ],
)
def test_an_answer_that_is_none_is_refused(message: bytes, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        wire.parse_pictures(message)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"RIFF1234", "sound begins with AUDI"),
        (b"AUDI1", "1 bytes is not whole int16 samples"),
        (b"AUDI", "0 samples of sound"),
        (b"AUDI" + bytes(2 * 160_001), "160001 samples of sound; a message has 1 to 160000"),
    ],
)
def test_sound_that_is_none_is_refused(message: bytes, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        wire.parse_sound(message)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not a JSON message"),
        ("[1]", r"a JSON message is an object, not \[1\]"),
        ('{"type":"hello"}', "the first message is"),
        ('{"type":"init"}', "the reference picture is missing"),
        ('{"type":"init","ref_image":"%%%"}', "the reference picture is not base64"),
        ('{"type":"init","ref_image":"iVBORw0KGgo=","width":99999}', r"init: .*<= 4096 - at `\$.width`"),
        ('{"type":"session.create","inputs":7}', "inputs is an object, not 7"),
        ('{"type":"init","ref_image":"' + "A" * 13_333_340 + '"}', "more than 10 MB"),
    ],
)
def test_an_opening_that_is_none_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        wire.parse_opening(text)


def test_a_servers_error_is_told_in_a_line() -> None:
    with pytest.raises(RemoteRefusal, match=r"^CUDA out of memory$"):
        wire.parse_geometry('{"type":"error","message":"CUDA out\\n of  memory"}', "omnirt")
    with pytest.raises(RemoteRefusal, match=r"^gone$"):
        wire.heed_news('{"type":"error","message":"gone"}')
    wire.heed_news('{"type":"metrics","gpu":0.9}')


def test_a_client_says_nothing_unknown() -> None:
    assert wire.parse_control('{"type":"session.close"}').kind == "close"
    with pytest.raises(WireError, match="a message of type 'dance' is not known here"):
        wire.parse_control('{"type":"dance"}')
