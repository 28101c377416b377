"""What the workers offer, read from the `info` of their heartbeats: models, voices, engines, the language model.

    inference: {"models": [{id, backend, connected, reason, detail, frame_ms, batched_frame_ms, max_sessions}]}
    speech:    {"llm": {provider, model, embedded, base_url, key_set}, "default_tts": provider,
                "tts": {provider: {available, reason, any_voice}},
                "voices": [{provider, voice_id, display_label, language}],
                "stt": {provider: {available, loading, reason}}, "default_stt": provider}

A worker that is still loading offers nothing yet; then nothing can be refused on its account.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from api.errors import ApiError
from api.schemas import ModelStatus, VoiceRow
from opentalking.config import Settings
from opentalking.models.registry import list_models
from opentalking.original import AUTO, engine_named
from opentalking.store import WorkerBeat


def model_statuses(workers: Iterable[WorkerBeat], settings: Settings) -> list[ModelStatus]:
    """Every known model; of several workers' reports on one, a connected one counts."""
    found = {name: ModelStatus(name) for name in list_models(settings)}
    for entry in _entries(workers, "inference", "models"):
        try:
            status = msgspec.convert(entry, ModelStatus)
        except msgspec.ValidationError:
            continue
        if not (status.id in found and found[status.id].connected):
            found[status.id] = status
    return [found[name] for name in sorted(found)]


def voice_rows(workers: Iterable[WorkerBeat], provider: str = "") -> list[VoiceRow]:
    """Voices of all speech workers, each once."""
    rows: dict[str, VoiceRow] = {}
    for entry in _entries(workers, "speech", "voices"):
        try:
            row = msgspec.convert({**entry, "id": f"{entry.get('provider')}:{entry.get('voice_id')}"}, VoiceRow)
        except msgspec.ValidationError:
            continue
        if provider in ("", row.provider):
            rows[row.id] = row
    return [rows[name] for name in sorted(rows)]


def engines(workers: Iterable[WorkerBeat], kind: str) -> dict[str, Any]:
    """`tts` or `stt` of all speech workers: provider -> {available, reason}; an available one counts."""
    found: dict[str, Any] = {}
    for worker in workers:
        offered = worker.info.get(kind) if worker.role == "speech" else None
        for provider, status in offered.items() if isinstance(offered, dict) else ():
            if not _available(found.get(provider)):
                found[provider] = status
    return found


def require_model(workers: Iterable[WorkerBeat], model: str, settings: Settings) -> None:
    """Raises ApiError 400: unknown_model, or model_unavailable if no worker can serve it."""
    workers = list(workers)
    statuses = {status.id: status for status in model_statuses(workers, settings)}
    if model not in statuses:
        raise ApiError(400, "unknown_model", f"model: no model {model!r}; known: {', '.join(statuses)}")
    told = [worker for worker in workers if worker.role == "inference"]
    if told and all(worker.info.get("models") for worker in told) and not statuses[model].connected:
        why = statuses[model].detail or statuses[model].reason
        raise ApiError(400, "model_unavailable", f"model: {model} cannot be used: {why}")


def require_voice(speech: Iterable[WorkerBeat], provider: str | None, voice: str | None) -> str:
    """Our name of the engine that is asked for; empty: nobody in particular.

    Raises ApiError 400: unknown_tts_provider, tts_unavailable, unknown_voice."""
    speech = list(speech)
    tts = engines(speech, "tts")
    provider = engine_named(provider or "", tts)
    if provider == AUTO and AUTO not in tts:
        provider = ""
    if provider and tts:
        if provider not in tts:
            raise ApiError(400, "unknown_tts_provider", f"tts_provider: no {provider!r}; known: {', '.join(tts)}")
        if not _available(tts[provider]):
            reason = tts[provider].get("reason") or "not available"
            raise ApiError(400, "tts_unavailable", f"tts_provider: {provider} cannot be used: {reason}")
    speaking = provider or _told_default(speech, "default_tts")
    if _any_voice(tts.get(speaking)):
        return provider  # only the service knows them all
    offered = {row.voice_id for row in voice_rows(speech, speaking)}
    if voice and offered and voice not in offered:
        raise ApiError(400, "unknown_voice", f"voice: no {voice!r}; known: {', '.join(sorted(offered))}")
    return provider


def require_stt_named(speech: Iterable[WorkerBeat], provider: str | None) -> None:
    """A session that names none may have none. Raises ApiError 400: unknown_stt_provider, stt_unavailable."""
    if not provider:
        return
    try:
        require_stt(speech, provider)
    except ApiError as error:
        named = f"stt_provider: {error.detail}" if error.code == "stt_unavailable" else error.detail
        raise ApiError(400, error.code, named) from None


def require_stt(speech: Iterable[WorkerBeat], provider: str) -> None:
    """Raises ApiError: 400 unknown_stt_provider, 503 stt_unavailable. One that is being loaded may be asked already."""
    speech = list(speech)
    stt = engines(speech, "stt")
    if not stt:
        return
    if provider and provider not in stt:
        raise ApiError(400, "unknown_stt_provider", f"stt_provider: no {provider!r}; known: {', '.join(stt)}")
    default = _told_default(speech, "default_stt")
    if not (name := provider or default):
        reasons = "; ".join(f"{one}: {_reason(status)}" for one, status in stt.items())
        raise ApiError(503, "stt_unavailable", f"no recogniser can be used: {reasons}")
    status = stt.get(name)
    if not _available(status) and not (isinstance(status, dict) and status.get("loading")):
        raise ApiError(503, "stt_unavailable", f"recogniser {name} cannot be used: {_reason(status)}")


def _told_default(speech: Iterable[WorkerBeat], name: str) -> str:
    return next((str(worker.info[name] or "") for worker in speech if name in worker.info), "")


def _any_voice(status: Any) -> bool:
    return isinstance(status, dict) and bool(status.get("any_voice"))


def _reason(status: Any) -> str:
    return str(status.get("reason") or "not asked for") if isinstance(status, dict) else "not available"


def _available(status: Any) -> bool:
    return isinstance(status, dict) and bool(status.get("available"))


def _entries(workers: Iterable[WorkerBeat], role: str, name: str) -> list[dict[str, Any]]:
    lists = [worker.info.get(name) for worker in workers if worker.role == role]
    return [entry for entries in lists if isinstance(entries, list) for entry in entries if isinstance(entry, dict)]
