"""Lip-sync at a receiver: `python -m tests.bench.lipsync [--avatars presenter …] [--sheet out.png]`.

    /speak ──> a whole node ──RTP──> aiortc: pictures ──landmarks──> mouth opening ┐
                                             sound ──> loudness                    ├─> lips.py
               the same text, espeak-ng ──> phonemes, found again in the sound ────┘

An aiortc client on the same machine decodes both tracks and takes all times on the sender's clock, by RTCP sender
reports, as browsers do. Truth is what the voice itself says of its phonemes: the text is spoken by `espeak`, sentence
by sentence, and each is found in what was received by its spectrum. Piper's speech adds the loudness of another voice.

    lipsync_offset_ms          the picture's lag behind the phonemes' jaw; positive: the picture is late
    lipsync_corr_jaw           correlation of opening and jaw, at that lag
    lipsync_corr_envelope      of opening and loudness, of both voices
    lipsync_offset_envelope_ms the lag that loudness tells
    lipsync_closures           share of p, b, m at which the lips are seen closed; _chance: of moments elsewhere
    lipsync_control            correlation, at its own best lag, with the jaw of other speech: what chance gives
    lipsync_range              opening of 95 of 100 pictures less that of 5, in distances of the eyes
    lipsync_still              deviation of the opening from 200 ms after the end of the sound

The gates are those of docs/lipsync.md. Opus makes the sound 6.5 ms late, which no receiver takes off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from opentalking.avatars.landmarks import FaceFinder, mouth_opening

from ..support.client import Client
from ..support.llm_server import LLMServer
from ..support.node import Node
from ..support.phonemes import JAW_STEP_S, Phonetic, pronounce
from ..support.watcher import decoding
from .lips import PICTURE_S, Array, Curve, agreement, closures, loudness, rest_and_wide
from .lipsync_sheet import Film, write_sheet

CACHE = Path("~/.cache/opentalking-bench").expanduser()
SETTINGS = {"OPENTALKING_LOG_LEVEL": "WARNING"}
RATE = 48_000
AFTER_MS = 1400  # heard after the end of a turn
STILL_AFTER_S = 0.2
_HOP_S = 0.005  # of the spectra by which a sentence is looked for
_WHOLE_ALIKE = 0.9  # correlation of spectra with which it counts as found whole
_LEAST_ALIKE = 0.7  # and with which its pieces do
_PIECE_S, _LONGEST_STALL_S = 0.5, 1.5

GATES: dict[str, tuple[str, float]] = {  # of 20 s of speech; offset_ms is bounded either way
    "offset_ms": ("<=", 80),
    "corr_jaw": (">=", 0.40),
    "corr_envelope": (">=", 0.30),
    "closures": (">=", 0.70),
    "control": ("<=", 0.25),
    "range": (">=", 0.04),
    "still": ("<=", 0.01),
}
CLOSURES_ABOVE_CHANCE = 0.25

TEXTS = (  # one sentence a fragment: no commas, and none so short that it would be joined to another
    "My father bought a big boat and a map of the bay. People jump up when the band begins to play. "
    "The brown bear may climb a plum tree by the pond. Mama packed apples and jam for a warm picnic.",
    "Our boss wrapped a lamp in paper before the move. A bumpy path runs from the farm to the old bridge. "
    "Bob himself has never seen a blue moon above Rome. Maybe we ought to stop and ask a bus driver.",
)
OTHER_SPEECH = (  # some seconds each; repeated as long as need be
    "Nine silver scissors lie hidden in the garden and every evening the children sing a rather slow song about it.",
    "She never saw the ocean until her cousin took her along to a lighthouse on the southern shore of the country.",
    "There is a clock in each of the rooms yet none of them shows the right hour since the end of last winter.",
    "Carrots and onions grow well in this soil while the lettuce needs a great deal more sun and rather less rain.",
    "We asked the doctor whether it was safe to fly so soon and he laughed and told us to go and see the world.",
)
NATURAL = (
    "Good morning and welcome to our little museum. Behind me you can see a painting of a harbour at noon. "
    "The artist worked on it for more than a month.",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence, or of one that was stalled a piece: from `start` to `end` of it, heard at `at`; all in seconds."""

    sentence: Phonetic
    start: float
    end: float
    at: float


@dataclass(frozen=True)
class Turn:
    """One turn as it was received. `pieces`: what was said, and when on the clock; empty if that is not known. `sound`
    is int16 at 48 kHz from `start` on; `speech` the time of the first and last of it that is loud."""

    mouth: Curve
    sound: NDArray[np.int16]
    start: float
    speech: tuple[float, float]
    pieces: tuple[Piece, ...]
    film: Film

    def loudness(self) -> Curve:
        return _within(loudness(self.sound, RATE, self.start), *self.speech)

    def jaw(self) -> Curve:
        """Of the phonemes, from the first sentence to the end of the last; at rest where nothing was said."""
        times = np.arange(self.pieces[0].at, self.speech[1], JAW_STEP_S)
        values = np.zeros(len(times))
        for piece in self.pieces:
            within = (times >= piece.at) & (times < piece.at + piece.end - piece.start)
            jaw = piece.sentence.jaw()
            values[within] = np.interp(times[within] - piece.at + piece.start, np.arange(len(jaw)) * JAW_STEP_S, jaw)
        return Curve(times, values)

    def bilabials(self) -> list[float]:
        return [
            piece.at + moment - piece.start
            for piece in self.pieces
            for moment in piece.sentence.bilabials()
            if piece.start <= moment < piece.end
        ]

    def stillness(self) -> float:
        """Deviation of the opening once the sound is over."""
        return float(self.mouth.values[self.mouth.times > self.speech[1] + STILL_AFTER_S + PICTURE_S / 2].std())


async def speak(client: Client, text: str, provider: str) -> Turn:
    """Let it say `text` and take what was received, from a little before the first sound to a while after the last."""
    receiver = client.receiver
    receiver.sound.clear(), receiver.sound_pts.clear(), receiver.pictures.clear()
    turn = await client.call("POST", "/speak", {"text": text, "tts_provider": provider})
    await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    await receiver.hear_more(AFTER_MS)
    origin = receiver.sound_pts[0]
    sound = np.zeros(receiver.sound_pts[-1] - origin + RATE, np.int16)
    for pts, (_, pcm) in zip(receiver.sound_pts, receiver.sound, strict=True):
        sound[pts - origin : pts - origin + len(pcm)] = pcm
    start = receiver.clock("audio", origin)
    pictures = [(receiver.clock("video", pts), picture) for _, pts, picture in receiver.pictures if picture is not None]
    said = [pronounce(f"{part.strip()}.", end_pause=True) for part in text.split(".") if part.strip()]
    return await asyncio.to_thread(_turn, sound, start, pictures, said if provider == "espeak" else [])


def _turn(
    sound: NDArray[np.int16],
    start: float,
    pictures: list[tuple[float, NDArray[np.uint8]]],
    said: Sequence[Phonetic],
) -> Turn:
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 300) / RATE
    speech = start + float(loud[0]), start + float(loud[-1])
    pictures = [(at, picture) for at, picture in pictures if speech[0] - 0.6 < at < speech[1] + AFTER_MS / 1000]
    finder, openings, places = FaceFinder(), [], []
    box = finder.detect(_bgr(pictures[0][1]))
    assert box is not None, "no face is seen in what was received"
    for _, picture in pictures:
        points = finder.landmarks(_bgr(picture), box)
        openings.append(mouth_opening(points))
        places.append(points[[61, 291], :2])
    mouth = Curve(np.array([at for at, _ in pictures]) + PICTURE_S / 2, np.array(openings))
    found = tuple(replace(piece, at=start + piece.at) for piece in locate(said, sound))
    film = Film(mouth, [picture for _, picture in pictures], np.array(places))
    return Turn(mouth, sound, start, speech, found, film)


def locate(said: Sequence[Phonetic], sound: NDArray[np.int16]) -> list[Piece]:
    """Where in `sound`, int16 at 48 kHz, each sentence is, by how its spectrum goes: the voice does not give the same
    waveform twice. A sentence is whole unless the path stalled in it; then it is found in pieces, each a little later.

    Raises ValueError if one is not found: then something else was said."""
    heard = _spectrum(sound, RATE)
    found: list[Piece] = []
    begin = 0
    for number, sentence in enumerate(said):
        wanted = _spectrum(sentence.pcm[: round(sentence.spoken * sentence.rate)], sentence.rate)
        at, alike = _find(wanted, heard[begin:])
        pieces = [Piece(sentence, 0, sentence.spoken, begin * _HOP_S + at)]
        if alike < _WHOLE_ALIKE:
            pieces = list(_pieces(sentence, wanted, heard, begin))
            alike = _alike(np.concatenate([_cut(heard, piece) for piece in pieces])[: len(wanted)], wanted)
        if alike < _LEAST_ALIKE:
            raise ValueError(f"sentence {number + 1} of {len(said)} was not heard: {alike:.2f} alike")
        found += pieces
        begin = round((pieces[-1].at + (pieces[-1].end - pieces[-1].start) / 2) / _HOP_S)
    return found


def _pieces(sentence: Phonetic, wanted: Array, heard: Array, begin: int) -> Iterator[Piece]:
    """The sentence in pieces of _PIECE_S, none earlier than the one before leaves it, none later by more than
    _LONGEST_STALL_S."""
    hops, last = round(_PIECE_S / _HOP_S), len(heard)
    for start in range(0, len(wanted), hops):
        piece = wanted[start : start + hops]
        at, _ = _find(piece, heard[begin:last])
        yield Piece(sentence, start * _HOP_S, min(start + hops, len(wanted)) * _HOP_S, begin * _HOP_S + at)
        begin += round(at / _HOP_S) + len(piece) - 2
        last = begin + hops + round(_LONGEST_STALL_S / _HOP_S)


def _find(wanted: Array, heard: Array) -> tuple[float, float]:
    """(seconds, likeness) of the place in `heard` that is most like `wanted`; (0, 0) if it is too short."""
    alike = np.array([_alike(heard[at : at + len(wanted)], wanted) for at in range(len(heard) - len(wanted) + 1)])
    if not len(alike):
        return 0.0, 0.0
    best = int(alike.argmax())
    around = np.arange(max(0, best - 1), min(len(alike), best + 2))
    weights = alike[around] - alike[around].min() + 1e-6
    return float(np.average(around, weights=weights)) * _HOP_S, float(alike[best])


def _cut(heard: Array, piece: Piece) -> Array:
    """What was heard where the piece was found; silence beyond the end."""
    start, length = round(piece.at / _HOP_S), round((piece.end - piece.start) / _HOP_S)
    cut = heard[start : start + length]
    return np.pad(cut, ((0, length - len(cut)), (0, 0)))


def _spectrum(pcm: NDArray[np.int16], rate: int) -> Array:
    """Levels of bands of 200 Hz up to 4 kHz in windows of 20 ms every _HOP_S, dB above a floor: (n, 20)."""
    window = rate // 50
    starts = (np.arange(0, (len(pcm) - window) / rate, _HOP_S) * rate).astype(int)
    frames = pcm[starts[:, None] + np.arange(window)] * np.hanning(window) / 32768
    power = np.square(np.abs(np.fft.rfft(frames)))[:, 1:81].reshape(len(starts), 20, 4).mean(-1)
    return np.maximum(10 * np.log10(power / window + 1e-12) + 70, 0)


def _alike(one: Array, other: Array) -> float:
    """Correlation of two spectra over time and bands."""
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(np.sqrt(np.square(a).sum() * np.square(b).sum()), 1e-9))


def figures(phonetic: Sequence[Turn], natural: Sequence[Turn], avatar: str) -> dict[str, Any]:
    """Flat keys; `phonetic` turns are those whose phonemes are known, `natural` of another voice, may be none."""
    turns = [*phonetic, *natural]
    jaw = agreement([(turn.mouth, turn.jaw()) for turn in phonetic])
    envelope = agreement([(turn.mouth, turn.loudness()) for turn in turns])
    seen, chance = closures([(turn.mouth, turn.bilabials()) for turn in phonetic])
    rest, wide = rest_and_wide([_within(turn.mouth, *turn.speech) for turn in turns])
    values = {
        "offset_ms": round(jaw.lag_ms, 1),
        "corr_jaw": round(jaw.r, 3),
        "offset_envelope_ms": round(envelope.lag_ms, 1),
        "corr_envelope": round(envelope.r, 3),
        "closures": round(seen, 3),
        "closures_chance": round(chance, 3),
        "closures_of": sum(len(turn.bilabials()) for turn in phonetic),
        "control": round(_control(phonetic), 3),
        "range": round(wide - rest, 3),
        "still": round(max(turn.stillness() for turn in turns), 4),
        "seconds": round(sum(turn.speech[1] - turn.speech[0] for turn in turns), 1),
    }
    return {f"lipsync_{key}.{avatar}": value for key, value in values.items()}


def _control(turns: Sequence[Turn]) -> float:
    """Correlation of the mouths with the jaw of speech that was not theirs, as long as they spoke, each at its own best
    lag; the median of several, for any one may be like by chance."""
    found = []
    for text in OTHER_SPEECH:
        other = pronounce(text, end_pause=True).jaw()
        pairs = []
        for turn in turns:
            times = turn.jaw().times
            pairs.append((turn.mouth, Curve(times, np.resize(other, len(times)))))
        found.append(agreement(pairs).r)
    return float(np.median(found))


async def measure(
    base: str,
    avatar: str,
    texts: Sequence[str] = TEXTS,
    natural: Sequence[str] = NATURAL,
) -> tuple[dict[str, Any], list[Turn]]:
    """Of one avatar of a running node: flat keys, and the turns that they were made of."""
    with decoding():
        async with Client(base, keep_pictures=True) as client:
            await client.create(avatar_id=avatar)
            await client.connect()
            await client.receiver.until(lambda: len(client.receiver.reports) == 2)
            phonetic = [await speak(client, text, "espeak") for text in texts]
            others = [await speak(client, text, "piper") for text in natural]
    return figures(phonetic, others, avatar), [*phonetic, *others]


def _within(curve: Curve, start: float, end: float) -> Curve:
    kept = (curve.times >= start) & (curve.times <= end)
    return Curve(curve.times[kept], curve.values[kept])


def _bgr(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420), np.uint8)


async def main(chosen: list[str], sheet: Path | None, texts: Sequence[str]) -> int:
    told: dict[str, Any] = {}
    films: dict[str, Film] = {}
    async with LLMServer() as llm, Node(cache=CACHE, **SETTINGS, OPENTALKING_LLM_BASE_URL=llm.base_url) as node:
        for avatar in chosen or await avatars(node.base):
            found, turns = await measure(node.base, avatar, texts)
            told |= found
            films[avatar] = turns[0].film
            print(json.dumps(found, indent=2), flush=True)
    if sheet is not None:
        write_sheet(sheet, films)
    return 0


async def avatars(base: str) -> list[str]:
    """All that the node offers."""
    async with Client(base) as client:
        return [entry["id"] for entry in await client.request("GET", "/avatars")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--avatars", nargs="*", default=[], help="which; all if none is named")
    parser.add_argument("--sheet", type=Path, help="where a contact sheet and motion strips of received pictures go")
    parser.add_argument("--texts", type=Path, help="what is said, a turn a line; sentences without commas")
    options = parser.parse_args()
    spoken = options.texts.read_text().split("\n") if options.texts else TEXTS
    sys.exit(asyncio.run(main(options.avatars, options.sheet, [text for text in spoken if text.strip()])))
