"""Recorded people for the evaluation: what they say is known, when they say it is found by PocketSphinx's aligner.

The aligner is no oracle. Against flite, whose times are exact, its boundaries are 6 ms early (taken off here), standard
deviation 15 ms; the study in which this net began found 85 % of its frames right: a ceiling of any figure taken here.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from scipy.io import wavfile

from opentalking.models.portrait.training.labelled import Labelled, Segment, labelled, read_pcm
from opentalking.models.portrait.training.phonemes import cmu_visemes
from opentalking.types import MODEL_RATE, Float32

_TEXTS = "references.json"  # file → what is said
_PHONES = "phones.json"  # file → [[phone, frame it starts in, frames], …]
_FRAME_SECONDS = 0.01
_EARLY_SECONDS = 0.006  # its frame 0 is a window of 26 ms that begins at 0

_PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")  # Debian's asterisk-core-sounds-en-g722
_PROMPT_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
_SHORTEST_TEXT = 18  # letters; shorter prompts are single words


class Phone(NamedTuple):
    """A phone of the CMU set and its place, in frames of 10 ms."""

    name: str
    start: int
    frames: int


def recordings(folder: Path) -> list[Labelled]:
    """The WAV files of `folder` that its phones.json has, as `align_folder` wrote it."""
    stored: dict[str, list[tuple[str, int, int]]] = json.loads((folder / _PHONES).read_text())
    return [
        _spoken(_read_wav(folder / name), [Phone(*phone) for phone in phones], name) for name, phones in stored.items()
    ]


def align_folder(folder: Path) -> None:
    """Write phones.json for the recordings that references.json has the words of."""
    references: dict[str, str] = json.loads((folder / _TEXTS).read_text())
    aligned = {name: align(_read_wav(folder / name), text) for name, text in sorted(references.items())}
    lines = [f" {json.dumps(name)}: {json.dumps(phones)}" for name, phones in aligned.items() if phones]
    (folder / _PHONES).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def prompts() -> list[Labelled]:
    """Asterisk's English prompts, a woman in a studio, in the order of their list.

    Empty without the Debian packages asterisk-core-sounds-en and asterisk-core-sounds-en-g722.
    """
    spoken: list[Labelled] = []
    for path, text in _prompt_files():
        samples = _decode_g722(path)
        phones = align(samples, text)
        if phones:
            spoken.append(_spoken(samples, phones, path.stem))
    return spoken


def align(samples: Float32, text: str) -> list[Phone]:
    """Where speech at 16 kHz says the phones of its text; nothing where the aligner gives up."""
    from pocketsphinx import Decoder

    words = re.sub(r"[^a-z']+", " ", text.lower()).strip()
    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()
    decoder = Decoder(samprate=MODEL_RATE, bestpath=False, loglevel="FATAL")
    try:
        decoder.set_align_text(words)
        _process(decoder, pcm)
        if decoder.hyp() is None:
            return []
        decoder.set_alignment()
        _process(decoder, pcm)
        return [Phone(phone.name, phone.start, phone.duration) for word in decoder.get_alignment() for phone in word]
    except RuntimeError:  # a word that its dictionary does not have, or no path through the sound
        return []


def _process(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _spoken(samples: Float32, phones: list[Phone], voice: str) -> Labelled:
    segments = [
        Segment(_seconds(phone.start), _seconds(phone.start + phone.frames), cmu_visemes(phone.name))
        for phone in phones
    ]
    return labelled(samples, MODEL_RATE, segments, voice)


def _seconds(frame: int) -> float:
    return frame * _FRAME_SECONDS + _EARLY_SECONDS


def _read_wav(path: Path) -> Float32:
    rate, samples = wavfile.read(path)
    if rate != MODEL_RATE:
        raise ValueError(f"{path.name} has {rate} Hz, not {MODEL_RATE}")
    return read_pcm(samples.tobytes())


def _prompt_files() -> Iterator[tuple[Path, str]]:
    if not (_PROMPTS.is_dir() and _PROMPT_TEXTS.is_file()):
        return
    for line in gzip.decompress(_PROMPT_TEXTS.read_bytes()).decode("utf-8", "replace").splitlines():
        name, colon, text = line.partition(": ")
        path = _PROMPTS / f"{name}.g722"
        if colon and not line.startswith(";") and len(text.strip()) >= _SHORTEST_TEXT and path.is_file():
            yield path, text


def _decode_g722(path: Path) -> Float32:
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return read_pcm(np.concatenate(frames).astype("<i2").tobytes())
