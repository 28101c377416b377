"""The shared memory of one session as its processes see it: which segments there are, and of what size.

folder/board     speech, inference, rtc
folder/mic       api ──> speech            128 slots of up to 128 ms: one utterance at a time
folder/track     rtc ──> speech            128 slots of 20 ms: the browser's open microphone, as long as it sends
folder/pcm       speech ──> inference      128 slots of 40 ms: speech is at most 5 s ahead
folder/av, av1 …  inference ──> rtc          16 slots of 40 ms: rendering is at most 0.64 s ahead

Each face of a session has an av ring of its own, since faces differ in size: `av` the first, `av1` the next
(switching.py).
"""

from __future__ import annotations

from pathlib import Path

from opentalking.slots import MIC_SLOT_BYTES, PCM_SLOT_BYTES, TRACK_SLOT_BYTES, av_slot_bytes
from shm import Board, Consumer, Producer, RingSpec, Writer

PCM_SPEC = RingSpec(slots=128, slot_bytes=PCM_SLOT_BYTES)
MIC_SPEC = RingSpec(slots=128, slot_bytes=MIC_SLOT_BYTES)
TRACK_SPEC = RingSpec(slots=128, slot_bytes=TRACK_SLOT_BYTES)
_AV_SLOTS = 16


def av_spec(width: int, height: int) -> RingSpec:
    return RingSpec(slots=_AV_SLOTS, slot_bytes=av_slot_bytes(width, height))


def open_board(folder: Path, writer: Writer) -> Board:
    return Board(folder / "board", writer)


def mic_producer(folder: Path) -> Producer:
    return Producer(folder / "mic", MIC_SPEC)


def mic_consumer(folder: Path) -> Consumer:
    return Consumer(folder / "mic", MIC_SPEC)


def track_producer(folder: Path) -> Producer:
    return Producer(folder / "track", TRACK_SPEC)


def track_consumer(folder: Path) -> Consumer:
    return Consumer(folder / "track", TRACK_SPEC)


def pcm_producer(folder: Path) -> Producer:
    return Producer(folder / "pcm", PCM_SPEC)


def pcm_consumer(folder: Path) -> Consumer:
    return Consumer(folder / "pcm", PCM_SPEC)


def _av_path(folder: Path, face: int) -> Path:
    return folder / f"av{face or ''}"


def av_producer(folder: Path, width: int, height: int, face: int = 0) -> Producer:
    return Producer(_av_path(folder, face), av_spec(width, height))


def av_consumer(folder: Path, width: int, height: int, face: int = 0) -> Consumer:
    return Consumer(_av_path(folder, face), av_spec(width, height))


def remove_av(folder: Path, face: int) -> None:
    """Unlink a face's ring; processes that still map it keep its memory until they close it."""
    path = _av_path(folder, face)
    for segment in (path, path.with_name(path.name + ".data"), path.with_name(path.name + ".space")):
        segment.unlink(missing_ok=True)
