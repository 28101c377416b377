"""Whisper by CTranslate2: an utterance, or what there is of it yet, to text.

    PCM ──> windows of at most 28 s ──> + silence ──> log-mel ──> encode ──> language ──> generate ──> text

Whisper was trained on 30 s and stock code always encodes 30. CTranslate2 takes less: the window and some zeros cost a
fraction of that. Behind so little silence it likes to write a sentence a second time; so it is asked for timestamps,
and what it says began where the sound had already ended is not taken, nor what is only said again beyond that.

What was found in the windows that are complete, and the language, is handed to the next decode of the same utterance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from opentalking.config import Settings
from opentalking.stt.base import STTError
from opentalking.stt.mel import log_mel
from opentalking.stt.weights import find_weights
from opentalking.types import MODEL_RATE, Int16

PADDING_S = 3.5
WINDOW_S = 28.0  # of Whisper's 30: at least 2 s of padding remain
EARLIEST_CUT_S = 20.0  # a longer utterance is cut where it is quietest between here and the window's end
_LONGEST = 30 * MODEL_RATE  # samples that Whisper takes
_QUIET_S = 0.2
_SHORTEST_S = 0.1
_SILENT = 30  # amplitude of s16 that no microphone stays under while somebody speaks
_REPETITION_PENALTY = 1.05  # at 1.0 a short utterance may come twice; at 1.1 a long one loses small words
_TOKENS_PER_S, _SPARE_TOKENS = 8, 14  # fast speech has six or seven a second: a decoder that raves ends there
_NO_SPEECH, _UNLIKELY = 0.6, -1.0  # both together: Whisper's own rule for "nobody spoke"
_SURE, _SURE_S = 0.8, 1.5  # probability from which, of so much sound, a language is kept for the rest of the utterance
_END_S = 0.3  # what is timed to begin later than this before the end, or to end later than this after it, was not said
_REPEATED = 0.8  # share of a sentence's words that were there before: it is the same one again
_START, _TRANSCRIBE = "<|startoftranscript|>", "<|transcribe|>"


@dataclass(frozen=True, slots=True)
class Understood:
    """The first `samples` of an utterance, and what the next decode of it need not find again."""

    text: str = ""
    samples: int = 0
    kept: str = ""  # text of the windows that are complete
    cut: int = 0  # where they end, samples
    language: str = ""  # "<|en|>", once it is sure


class WhisperModel:
    """The loaded model, for as many threads at once as it has lanes. The threads that it makes are as nice as its
    maker's."""

    def __init__(self, settings: Settings, lanes: int) -> None:
        try:
            import ctranslate2
        except ImportError as error:
            raise STTError(f"ctranslate2 cannot be imported: {error}") from error
        folder = find_weights(settings)
        try:
            self._model = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type="int8", inter_threads=lanes, intra_threads=settings.stt_threads
            )
        except (RuntimeError, ValueError) as error:
            raise STTError(f"{folder} cannot be loaded: {error}") from error
        self._view = ctranslate2.StorageView.from_array
        self._language = f"<|{settings.stt_language}|>" if settings.stt_language else ""

    def understand(self, pcm: Int16, before: Understood) -> Understood:
        """All of an utterance so far, 16 kHz; `before`: what was understood of its beginning."""
        kept, cut, language = before.kept, before.cut, before.language or self._language
        *complete, last = windows(pcm[cut:])
        for window in complete:
            text, language = self._transcribe(window, language)
            kept = f"{kept} {text}".strip()
            cut += len(window)
        text, language = self._transcribe(last, language)
        return Understood(f"{kept} {text}".strip(), len(pcm), kept, cut, language)

    def _transcribe(self, pcm: Int16, language: str) -> tuple[str, str]:
        """At most 28 s: their text, and their language if it was given or is sure."""
        if not _may_be_speech(pcm):
            return "", language
        samples = np.zeros(min(len(pcm) + int(PADDING_S * MODEL_RATE), _LONGEST), np.float32)
        np.divide(pcm, 32768, out=samples[: len(pcm)], dtype=np.float32)
        encoded = self._model.encode(self._view(log_mel(samples)[None]))
        prompt = [_START]
        if self._model.is_multilingual:
            spoken = language
            if not spoken:
                spoken, probability = self._model.detect_language(encoded)[0][0]
                language = spoken if probability > _SURE and len(pcm) >= _SURE_S * MODEL_RATE else ""
            prompt += [spoken, _TRANSCRIBE]
        most = _SPARE_TOKENS + int(_TOKENS_PER_S * len(pcm) / MODEL_RATE)
        (result,) = self._model.generate(
            encoded,
            [prompt],
            beam_size=1,
            repetition_penalty=_REPETITION_PENALTY,
            max_length=2 * most,  # half of it is for a prompt, in CTranslate2's counting
            return_no_speech_prob=True,
            return_scores=True,
        )
        if result.no_speech_prob > _NO_SPEECH and result.scores[0] < _UNLIKELY:
            return "", language
        return text_of(spoken_within(result.sequences[0], len(pcm) / MODEL_RATE)), language


def windows(pcm: Int16) -> Iterator[Int16]:
    """The utterance in pieces of at most 28 s, cut where it is quietest."""
    longest, earliest, quiet = (int(s * MODEL_RATE) for s in (WINDOW_S, EARLIEST_CUT_S, _QUIET_S))
    while len(pcm) > longest:
        steps = pcm[earliest:longest].astype(np.float32).reshape(-1, quiet // 2)
        energy = (steps**2).sum(axis=1)
        cut = earliest + int(np.argmin(energy[:-1] + energy[1:]) + 1) * (quiet // 2)
        yield pcm[:cut]
        pcm = pcm[cut:]
    yield pcm


def _may_be_speech(pcm: Int16) -> bool:
    """Whether it is worth a decode; of silence, Whisper makes words."""
    return len(pcm) >= _SHORTEST_S * MODEL_RATE and bool(np.percentile(np.abs(pcm.astype(np.int32)), 95) >= _SILENT)


def spoken_within(tokens: list[str], duration_s: float) -> list[str]:
    """The tokens without the sentences, after the first, that were not said but written again: those that are timed to
    begin where the sound is over, or to last beyond it in words that were there before. (The time that a sentence ends
    is often wrong by seconds; alone it proves nothing.)"""
    said: list[str] = []
    began_s: float | None = None
    sentence: list[str] = []
    for token in [*tokens, "<|30.00|>"]:
        if (time_s := _timestamp(token)) is None:
            sentence.append(token)
        elif sentence and any(not token.startswith("<|") for token in sentence):
            began_late = (began_s or 0.0) > duration_s - _END_S
            lasts_on = time_s > duration_s + _END_S
            if said and (began_late or (lasts_on and _repeats(sentence, said))):
                break
            said += sentence
            sentence, began_s = [], None
        else:
            began_s = time_s
    return said


def _repeats(sentence: list[str], said: list[str]) -> bool:
    """Whether nearly all words of a sentence have been said before it."""
    before = set(_words(said))
    words = _words(sentence)
    return sum(word in before for word in words) >= _REPEATED * len(words)


def _words(tokens: list[str]) -> list[str]:
    return re.findall(r"\w+", text_of(tokens).casefold())


def _timestamp(token: str) -> float | None:
    """Seconds of `<|1.50|>`; None of any other token."""
    inner = token[2:-2]
    return float(inner) if token.startswith("<|") and inner.replace(".", "", 1).isdigit() else None


def text_of(tokens: list[str]) -> str:
    """Byte-level BPE back to text: a character of a token stands for a byte (GPT-2's table). Special tokens go."""
    table = _bytes_of_characters()
    raw = bytes(table[character] for token in tokens if not token.startswith("<|") for character in token)
    return raw.decode("utf-8", "replace").strip()


@lru_cache(maxsize=1)
def _bytes_of_characters() -> dict[str, int]:
    """Printable bytes stand for themselves, the others for the characters from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}
