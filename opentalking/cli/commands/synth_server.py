"""Serve a face of this machine to others, over the audio2video WebSocket. Needs neither Redis nor the other processes.

opentalking synth-server --model portrait --host 0.0.0.0 --as wav2lip

The other machine then sets OPENTALKING_OMNIRT_ENDPOINT=http://this-one:8765. Every option is also a setting,
OPENTALKING_SYNTH_…; the key that clients must bring is best set there: OPENTALKING_SYNTH_TOKEN.
"""

from __future__ import annotations

import argparse
import os
import sys

from opentalking.config import env_name

_OPTIONS = {  # option: setting, what stands for its value, meaning
    "model": ("synth_model", "NAME", "model to serve (portrait)"),
    "as": ("synth_names", "NAMES", "comma-separated names to serve it under; default: its own"),
    "host": ("synth_host", "ADDRESS", "address to listen on (127.0.0.1)"),
    "port": ("synth_port", "PORT", "port; 0: any free (8765)"),
    "token": ("synth_token", "KEY", "key that clients must bring; default: none"),
    "max-sessions": ("synth_max_sessions", "N", "sessions at once (8)"),
    "slice-len": ("synth_slice_len", "N", "pictures an answer, if the client does not say (8)"),
    "jpeg-quality": ("synth_jpeg_quality", "N", "1 to 100 (90)"),
    "avatars-dir": ("avatars_dir", "FOLDER", "where the avatar is that the model is warmed and measured with"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    for name, (_, metavar, sentence) in _OPTIONS.items():
        parser.add_argument(f"--{name}", metavar=metavar, help=sentence)


def run(options: argparse.Namespace) -> int:
    environ = dict(os.environ)
    for name, (setting, _, _) in _OPTIONS.items():
        value = getattr(options, name.replace("-", "_"))
        if value is not None:
            environ[env_name(setting)] = value
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "workers.synth"], environ)
