"""Labelled speech of flite (Debian package of that name): recorded speakers, whose phones it prints with their ends."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

from opentalking.models.portrait.training.labelled import Labelled, Segment, labelled, read_pcm
from opentalking.models.portrait.training.phonemes import cmu_visemes


def missing_packages() -> list[str]:
    """Debian packages that are not installed."""
    return [] if shutil.which("flite") else ["flite"]


def speak(text: str, voice: str, slowness: float = 1.0) -> Labelled:
    """One of flite's built-in voices (slt, awb, kal16, rms); all phones last `slowness` times as long."""
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.wav"
        stretch = f"duration_stretch={slowness:.3f}"
        command = ["flite", "-voice", voice, "--setf", stretch, "-psdur", "-t", text, "-o", str(sound)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        with wave.open(str(sound)) as stored:
            rate, samples = stored.getframerate(), read_pcm(stored.readframes(stored.getnframes()))
    return labelled(samples, rate, segments_of(printed), f"flite {voice}")


def segments_of(printed: str) -> list[Segment]:
    """What `-psdur` prints: each phone with its end in seconds, `hh:0.255 ax:0.304`."""
    segments, start = [], 0.0
    for token in printed.split():
        phone, end = token.rsplit(":", 1)
        segments.append(Segment(start, float(end), cmu_visemes(phone)))
        start = float(end)
    return segments
