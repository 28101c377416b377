"""What settings name, voices, recognisers, faces: whether there is such a one, and whether it can be used here.

A name that nobody knows stops the start, and is told with its setting and those that are known, plug-ins among them.
"""

from __future__ import annotations

from collections.abc import Iterable

from opentalking.avatars import AvatarError, find_avatar
from opentalking.cli.check import Check
from opentalking.config import Settings, env_name, unknown_names
from opentalking.models.adapter import ModelError
from opentalking.models.registry import list_models
from opentalking.original import without_effect
from opentalking.plugins import named
from opentalking.stt import registry as stt
from opentalking.stt.base import STTError
from opentalking.tts import registry as tts
from opentalking.tts.base import TTSError
from opentalking.tts.policy import OFFLINE

OFFLINE_PIP = "pip install 'opentalking[offline]'"


def chosen(settings: Settings) -> list[Check]:
    """Who speaks, who stands in for them, who listens, and which face is shown."""
    return [voice(settings), *fallbacks(settings), recogniser(settings), face(settings), avatar(settings)]


def voice(settings: Settings) -> Check:
    """The configured voice engine and its voice, or the engine that would speak in its place."""
    wanted = settings.tts_provider
    mend = "give it what it lacks, or choose another OPENTALKING_TTS_PROVIDER"
    if wanted in OFFLINE:
        mend = f"{OFFLINE_PIP}, or OPENTALKING_TTS_VOICE_PATH=a .onnx beside its .onnx.json"
    try:
        known = tts.list_tts(settings)
    except TTSError as error:
        return Check("voice", "fail", str(error), "correct OPENTALKING_TTS_PLUGINS")
    if wanted not in known:
        return _unknown("voice", "tts_provider", wanted, known)
    try:
        picked = tts.pick_tts(settings)
        speaker = tts.create_tts(picked, settings)
        voices = [one.voice_id for one in speaker.voices()]
    except TTSError as error:
        return Check("voice", "fail", str(error), mend)
    except Exception as error:  # of a plug-in
        return Check("voice", "fail", f"{wanted}: {named(error)}", mend)
    if picked != wanted:
        return Check("voice", "warn", f"{picked} speaks instead of {wanted}: {tts.available(settings)[wanted]}", mend)
    if voices and not speaker.any_voice and _plain(settings.tts_voice) not in ("", *voices):
        return _unknown("voice", "tts_voice", settings.tts_voice, voices)
    return Check("voice", "ok", f"{picked}: {settings.tts_voice or ', '.join(voices[:1])}".rstrip(": "))


def fallbacks(settings: Settings) -> list[Check]:
    """Those of OPENTALKING_TTS_FALLBACK that nobody knows."""
    listed = [part.strip() for part in settings.tts_fallback.split(",") if part.strip()]
    try:
        known = tts.list_tts(settings)
    except TTSError:
        return []  # the voice's check has told it
    return [_unknown("fallback voice", "tts_fallback", name, known) for name in listed if name not in known]


def recogniser(settings: Settings) -> Check:
    """The configured recogniser, or the one that would listen in its place. Without any, people can still type."""
    mend = f"{OFFLINE_PIP}, or OPENTALKING_STT_MODEL_PATH=a folder, or OPENTALKING_STT_BASE_URL=a service"
    wanted = settings.stt_provider
    try:
        known = stt.list_stt(settings)
    except STTError as error:
        return Check("recogniser", "fail", str(error), "correct OPENTALKING_STT_PLUGINS")
    if wanted not in (stt.NONE, *known):
        return _unknown("recogniser", "stt_provider", wanted, [*known, stt.NONE])
    try:
        picked = stt.pick_stt(settings)
    except STTError as error:
        return Check("recogniser", "warn", f"nobody can speak to it: {error}", mend)
    if not picked:
        return Check("recogniser", "ok", "none is wanted: OPENTALKING_STT_PROVIDER=none")
    if picked != wanted:
        return Check(
            "recogniser", "warn", f"{picked} listens instead of {wanted}: {stt.available(settings)[wanted]}", mend
        )
    return Check("recogniser", "ok", picked)


def face(settings: Settings) -> Check:
    """The model of a session that names none."""
    try:
        known = list_models(settings)
    except ModelError as error:
        return Check("model", "fail", str(error), "correct OPENTALKING_MODEL_PLUGINS")
    if settings.default_model not in ("", *known):
        return _unknown("model", "default_model", settings.default_model, known)
    return Check("model", "ok", settings.default_model or "the avatar's own")


def avatar(settings: Settings) -> Check:
    try:
        bundle = find_avatar(settings, settings.default_avatar)
    except AvatarError as error:
        return Check("avatar", "fail", str(error), "check OPENTALKING_AVATARS_DIR and OPENTALKING_DEFAULT_AVATAR")
    return Check("avatar", "ok", f"{bundle.name} ({bundle.path.parent})")


def names(environ: Iterable[str]) -> list[Check]:
    """Variables that look like settings and are none: slips of the pen, and what the original has and we have not."""
    environ = list(environ)
    found = []
    if strange := unknown_names(environ):
        told = ", ".join(f"{name} (for {meant}?)" if meant else name for name, meant in strange.items())
        mend = "`opentalking settings` lists them all"
        found.append(Check("settings", "warn", f"no such setting: {told}", mend))
    for name, why in without_effect(environ).items():
        found.append(Check("settings", "warn", f"{name} does nothing here: {why}", "leave it out"))
    return found or [Check("settings", "ok", "every OPENTALKING_* variable is one")]


def _unknown(name: str, field: str, value: str, known: Iterable[str]) -> Check:
    setting = env_name(field)
    return Check(name, "fail", f"{setting}: there is no {value!r}; known: {', '.join(known)}", f"correct {setting}")


def _plain(voice: str) -> str:
    """Without a variant of espeak's: en-us+f3 speaks, though only en-us is listed."""
    return voice.partition("+")[0]
