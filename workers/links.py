"""The shared memory of one session as its processes see it: which segments there are, and of what size.

folder/board     speech, inference, rtc
folder/mic       api ──> speech            128 slots of up to 128 ms: one utterance at a time
folder/track     rtc ──> speech            128 slots of 20 ms: the browser's open microphone, as long as it sends
folder/pcm       speech ──> inference      128 slots of 40 ms: speech is at most 5 s ahead
folder/av        inference ──> rtc          16 slots of 40 ms: rendering is at most 0.64 s ahead
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


def av_producer(folder: Path, width: int, height: int) -> Producer:
    return Producer(folder / "av", av_spec(width, height))


def av_consumer(folder: Path, width: int, height: int) -> Consumer:
    return Consumer(folder / "av", av_spec(width, height))
