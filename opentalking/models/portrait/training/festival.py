"""Labelled speech of Festival's voices (Debian packages): recordings of real speakers, cut into diphones and joined.

Its segments tell each phone's end. The phone sets are the languages' own; here they are read as IPA.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opentalking.models.portrait.training.labelled import Labelled, Segment, labelled, read_pcm
from opentalking.models.portrait.training.phonemes import cmu_visemes, ipa_visemes

_PAUSES = ("#", "##", "pau", "_")
_MARKS = str.maketrans("", "", "1:*")  # of stress, length, voicing
_SAMPA = {
    **{"S": "ʃ", "tS": "tʃ", "dZ": "dʒ", "ng": "ŋ", "N": "ŋ", "nf": "ɱ", "L": "ʎ", "J": "ɲ", "E": "ɛ", "O": "ɔ"},
    **{"@": "æ", "7": "ø"},
}
_CZECH = {"c~": "tʃ", "s~": "ʃ", "z~": "ʒ", "dz~": "dʒ", "c": "ts", "ch": "x"}


@dataclass(frozen=True)
class Speaker:
    """A voice by Festival's name for it, the Debian package it comes in, and what its language needs."""

    name: str
    package: str
    language: str
    encoding: str
    phones: dict[str, str]

    def visemes(self, phone: str) -> tuple[int, ...]:
        """Of a phone of this voice."""
        if phone in _PAUSES:
            return ipa_visemes("")
        if self.language == "en":
            return cmu_visemes(phone)
        bare = phone.translate(_MARKS)
        return ipa_visemes(self.phones.get(bare, bare.rstrip("~")))  # d~ t~ n~ r~ of Czech


SPEAKERS = (
    Speaker("ked_diphone", "festvox-kdlpc16k", "en", "ascii", {}),
    Speaker("suo_fi_lj_diphone", "festvox-suopuhe-lj", "fi", "iso-8859-1", _SAMPA),
    Speaker("hy_fi_mv_diphone", "festvox-suopuhe-mv", "fi", "iso-8859-1", _SAMPA),
    Speaker("lp_diphone", "festvox-italp16k", "it", "iso-8859-1", _SAMPA),
    Speaker("pc_diphone", "festvox-itapc16k", "it", "iso-8859-1", _SAMPA),
    Speaker("czech_dita", "festvox-czech-dita", "cs", "iso-8859-2", _CZECH),
    Speaker("czech_machac", "festvox-czech-machac", "cs", "iso-8859-2", _CZECH),
    Speaker("czech_ph", "festvox-czech-ph", "cs", "iso-8859-2", _CZECH),
)


def missing_packages() -> list[str]:
    """Debian packages that are not installed."""
    voices = Path("/usr/share/festival/voices")
    missing = [speaker.package for speaker in SPEAKERS if not list(voices.glob(f"*/{speaker.name}"))]
    return missing if shutil.which("festival") else ["festival", *missing]


def speak(texts: Sequence[tuple[str, float]], speaker: Speaker) -> list[Labelled]:
    """Texts in the speaker's language, each with how many times as long its phones last; one run of Festival."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = [f"(voice_{speaker.name})"]
        for index, (text, slowness) in enumerate(texts):
            quoted = text.replace("\\", "").replace('"', "")
            commands += [
                f"(Parameter.set 'Duration_Stretch {slowness:.3f})",
                f'(set! spoken (utt.synth (Utterance Text "{quoted}")))',
                f'(utt.save.segs spoken "{folder / str(index)}.segs")',
                f'(utt.save.wave spoken "{folder / str(index)}.wav" \'riff)',
            ]
        script = folder / "script.scm"
        script.write_text("\n".join(commands), encoding=speaker.encoding, errors="replace")
        subprocess.run(["festival", "-b", str(script)], check=True, capture_output=True)
        return [_read(folder / str(index), speaker) for index in range(len(texts))]


def _read(stem: Path, speaker: Speaker) -> Labelled:
    with wave.open(f"{stem}.wav") as stored:
        rate, samples = stored.getframerate(), read_pcm(stored.readframes(stored.getnframes()))
    segments = segments_of(Path(f"{stem}.segs").read_text().splitlines(), speaker)
    return labelled(samples, rate, segments, f"festival {speaker.name}")


def segments_of(lines: list[str], speaker: Speaker) -> list[Segment]:
    """What `utt.save.segs` writes: a heading up to "#", then a phone a line as "end colour name"."""
    segments, start = [], 0.0
    for line in lines[lines.index("#") + 1 :]:
        end, _, phone = line.split()
        segments.append(Segment(start, float(end), speaker.visemes(phone)))
        start = float(end)
    return segments
