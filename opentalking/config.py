"""Every OPENTALKING_* setting, typed, in one place, read once, from the environment and `.env` alike.

Precedence: process environment, then `.env` (path in OPENTALKING_ENV_FILE, default `./.env`), then the default here.
The README's table is generated from this file (`opentalking settings --markdown`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

PREFIX = "OPENTALKING_"

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1, le=256)]
Millis = Annotated[int, Meta(ge=0, le=600_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Share = Annotated[float, Meta(ge=0, le=1)]


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names it."""


def _doc(text: str) -> Any:
    return Meta(description=text)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. A field `api_port` is read from OPENTALKING_API_PORT."""

    # where things run
    node: Annotated[str, _doc("Name of this node; its workers share one shared-memory folder")] = ""
    run_dir: Annotated[str, _doc("Folder for logs, sockets and caches")] = "./.run"
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _doc("Log level")] = "INFO"
    api_host: Annotated[str, _doc("Address the API listens on")] = "127.0.0.1"
    api_port: Annotated[Port, _doc("Port of the API and the page")] = 8000
    cors_origins: Annotated[str, _doc("Comma-separated origins allowed to call the API; empty: same origin only")] = ""
    speech_workers: Annotated[Count, _doc("Speech processes")] = 1
    inference_workers: Annotated[Count, _doc("Inference processes")] = 1
    rtc_workers: Annotated[int, Meta(ge=0), _doc("RTC processes; 0: one for every four cores")] = 0
    max_sessions: Annotated[Count, _doc("Sessions a node accepts at once")] = 16
    session_idle_timeout_s: Annotated[
        Seconds, _doc("A session without a connected browser ends after this, seconds")
    ] = 120.0
    worker_ttl_s: Annotated[Seconds, _doc("A worker silent for this long is taken for dead, seconds")] = 5.0
    drain_s: Annotated[
        float, Meta(ge=0, le=20), _doc("A process told to stop lets sentences end for at most this long, seconds")
    ] = 6.0

    # redis
    redis_url: Annotated[str, _doc("Redis to use; empty: the embedded server")] = ""
    redis_port: Annotated[Port, _doc("Port of the embedded Redis; 0: first free from 6379")] = 0

    # language model
    llm_base_url: Annotated[
        str, _doc("OpenAI-compatible endpoint, e.g. http://localhost:11434/v1; empty: the embedded toy model")
    ] = ""
    llm_api_key: Annotated[str, _doc("Key for the endpoint")] = ""
    llm_model: Annotated[str, _doc("Model name sent to the endpoint")] = "smollm2"
    llm_system_prompt: Annotated[str, _doc("System prompt of a session that brings none")] = (
        "You are a helpful AI assistant. Answer briefly, in plain text."
    )
    llm_max_tokens: Annotated[int, Meta(ge=1, le=32_768), _doc("Longest reply, tokens")] = 120
    llm_history_turns: Annotated[int, Meta(ge=0, le=1000), _doc("Turns of conversation sent along")] = 20
    llm_connect_timeout_s: Annotated[Seconds, _doc("Time to reach the endpoint, seconds")] = 5.0
    llm_first_token_timeout_s: Annotated[Seconds, _doc("Time to the first token, seconds")] = 30.0
    llm_port: Annotated[Port, _doc("Port of the embedded LLM server; 0: any free")] = 0
    llm_model_path: Annotated[str, _doc("GGUF file for the embedded LLM server; empty: the packaged SmolLM2")] = ""
    llm_threads: Annotated[
        Count, _doc("Threads of the embedded LLM; more than one starves the other engines on 2 cores")
    ] = 1

    # voice
    tts_provider: Annotated[str, _doc("Voice engine of a session that names none: piper or espeak")] = "piper"
    tts_voice: Annotated[str, _doc("Voice of that engine; empty: its default")] = ""
    tts_voice_path: Annotated[str, _doc("Piper voice (.onnx beside .onnx.json); empty: the packaged voice")] = ""
    tts_plugins: Annotated[str, _doc("Further voice engines, comma-separated name=module:Class")] = ""
    tts_threads: Annotated[Count, _doc("Threads of the voice engine")] = 1
    tts_edge_voice: Annotated[str, _doc("Voice of edge")] = "en-US-EmmaMultilingualNeural"
    tts_openai_base_url: Annotated[str, _doc("Voices of openai_compatible, e.g. https://api.openai.com/v1")] = ""
    tts_openai_api_key: Annotated[str, _doc("Key for those voices")] = ""
    tts_openai_model: Annotated[str, _doc("Model name sent to those voices")] = "gpt-4o-mini-tts"
    tts_openai_voice: Annotated[str, _doc("Voice of openai_compatible")] = "alloy"
    tts_openai_response_format: Annotated[
        Literal["pcm", "wav", "mp3", "opus"], _doc("Format openai_compatible is asked for")
    ] = "pcm"
    tts_openai_prompt: Annotated[str, _doc("How openai_compatible is told to speak; empty: as it likes")] = ""
    tts_elevenlabs_api_key: Annotated[str, _doc("Key for ElevenLabs")] = ""
    tts_elevenlabs_base_url: Annotated[str, _doc("Address of ElevenLabs")] = "https://api.elevenlabs.io"
    tts_elevenlabs_model_id: Annotated[str, _doc("Model of ElevenLabs")] = "eleven_flash_v2_5"
    tts_elevenlabs_voice_id: Annotated[str, _doc("Voice of ElevenLabs")] = "21m00Tcm4TlvDq8ikWAM"
    tts_elevenlabs_output_format: Annotated[
        str,
        Meta(pattern=r"^(mp3|pcm|wav|opus|ulaw|alaw)_\d{4,6}(_\d+)?$"),
        _doc("Format ElevenLabs is asked for; pcm sounds best where the plan allows it"),
    ] = "mp3_44100_128"
    tts_elevenlabs_transport: Annotated[
        Literal["http", "websocket"], _doc("How ElevenLabs is asked: a request a fragment, or its input stream")
    ] = "http"
    tts_dashscope_model: Annotated[str, _doc("Qwen's realtime model at DashScope")] = "qwen3-tts-flash-realtime"
    tts_dashscope_voice: Annotated[str, _doc("Voice of Qwen's realtime model")] = "Cherry"
    tts_dashscope_service_url: Annotated[
        str, _doc("WebSocket address of that model; empty: the one that its library knows")
    ] = ""
    qwen_tts_reuse_ws: Annotated[bool, _doc("Keep its sockets from one fragment to the next")] = True
    qwen_tts_language: Annotated[str, _doc("Language it is told, e.g. Chinese; empty: it sees for itself")] = ""
    tts_cosyvoice_model: Annotated[str, _doc("CosyVoice model at DashScope")] = "cosyvoice-v3-flash"
    tts_cosyvoice_voice: Annotated[str, _doc("Voice of CosyVoice")] = "longanyang"
    tts_cosyvoice_format: Annotated[Literal["pcm", "wav", "mp3"], _doc("Format CosyVoice is asked for")] = "pcm"
    tts_sambert_model: Annotated[str, _doc("Sambert model at DashScope; it is the voice, too")] = "sambert-zhichu-v1"
    tts_fallback: Annotated[
        str, _doc("Voice engines that speak when that of a turn fails, comma-separated, before the offline ones")
    ] = ""
    tts_first_pcm_timeout_s: Annotated[
        float, Meta(gt=0, le=120), _doc("Time to a fragment's first sound, after which another engine speaks, seconds")
    ] = 6.0
    tts_stall_timeout_s: Annotated[
        float, Meta(gt=0, le=120), _doc("Longest pause of a service within a fragment, seconds")
    ] = 4.0
    tts_retry_after_s: Annotated[
        Seconds, _doc("A service that asks to wait gets this long at most before another engine speaks, seconds")
    ] = 1.0
    tts_rest_s: Annotated[Seconds, _doc("An engine that failed is not asked again for this long, seconds")] = 30.0
    tts_loudness_db: Annotated[
        float,
        Meta(ge=-40, le=0),
        _doc("Loudness all voices are brought to, dBFS (RMS of the speech); 0: as their services give them"),
    ] = -23.0
    flashtalk_tts_boundary_fade_ms: Annotated[
        Millis, _doc("Fade at both edges of a sentence, ms; shorter where a sentence begins softly by itself")
    ] = 18
    flashtalk_tts_tail_fade_ms: Annotated[Millis, _doc("Fade at the end of a turn, ms")] = 80
    flashtalk_tts_trailing_silence_ms: Annotated[Millis, _doc("Silence after a turn, so that the mouth closes, ms")] = (
        200
    )
    first_fragment_min_chars: Annotated[
        int, Meta(ge=1, le=500), _doc("The first fragment may break at a comma after this many characters")
    ] = 12

    # recogniser
    stt_provider: Annotated[
        str,
        _doc("Recogniser of a session that names none: whisper, openai_compatible, dashscope, or none to load nothing"),
    ] = "whisper"
    stt_language: Annotated[str, _doc("Language that is spoken, e.g. en; empty: recognised in each utterance")] = ""
    stt_model_path: Annotated[
        str, _doc("Folder of a Whisper model in CTranslate2's format; empty: the packaged base")
    ] = ""
    stt_plugins: Annotated[str, _doc("Further recognisers, comma-separated name=module:Class")] = ""
    stt_threads: Annotated[Count, _doc("Threads of the recogniser")] = 1
    stt_base_url: Annotated[str, _doc("Endpoint of openai_compatible, e.g. https://api.openai.com/v1")] = ""
    stt_api_key: Annotated[str, _doc("Key for that endpoint")] = ""
    stt_model: Annotated[str, _doc("Model name sent to that endpoint")] = "whisper-1"
    stt_max_utterance_s: Annotated[
        float, Meta(gt=0, le=3600), _doc("Longest utterance or recording that is recognised, seconds")
    ] = 60.0
    stt_timeout_s: Annotated[
        float, Meta(gt=0, le=3600), _doc("Time to recognise an utterance once it is over, seconds")
    ] = 120.0

    stt_partial_ms: Annotated[
        Millis, _doc("While somebody speaks, whisper decodes what was said so far this often, ms; 0: never")
    ] = 700
    stt_dashscope_model: Annotated[str, _doc("Model of the recogniser dashscope")] = "paraformer-realtime-v2"
    dashscope_api_key: Annotated[str, _doc("Key for DashScope's voices and recognisers")] = ""
    dashscope_base_url: Annotated[str, _doc("DashScope's WebSocket address; empty: the one that its library knows")] = (
        ""
    )

    # taking turns with an open microphone
    vad_model_path: Annotated[str, _doc("Silero VAD (.onnx); empty: the packaged one")] = ""
    vad_threshold: Annotated[Share, _doc("Speech is what the voice activity detector gives at least this")] = 0.5
    vad_release: Annotated[Share, _doc("Silence, after speech, is what it gives less than this")] = 0.35
    vad_start_ms: Annotated[Millis, _doc("Speech of this length is somebody speaking, ms")] = 96
    vad_preroll_ms: Annotated[Millis, _doc("Sound before speech was noticed that belongs to it, ms")] = 320
    turn_look_ms: Annotated[
        Millis, _doc("Silence after which what was said is recognised, in case that was all, ms")
    ] = 96
    turn_min_silence_ms: Annotated[Millis, _doc("Silence that ends a turn which sounds finished, ms")] = 320
    turn_max_silence_ms: Annotated[Millis, _doc("Silence that ends any turn, ms")] = 1200
    turn_model: Annotated[
        Literal["smart_turn", "none"], _doc("What tells whether a turn sounds finished; none: silence alone")
    ] = "smart_turn"
    turn_model_path: Annotated[str, _doc("Smart Turn v3 (.onnx); empty: the packaged one")] = ""
    turn_threshold: Annotated[Share, _doc("Finished is what that model gives at least this")] = 0.5
    speculate: Annotated[bool, _doc("Ask the language model before the turn is over, and keep a fitting answer")] = True
    barge_in: Annotated[bool, _doc("Whoever speaks over the avatar makes it pause, and stops it by words")] = True
    barge_in_look_ms: Annotated[
        Millis, _doc("Speech over the avatar of this length is recognised, to see whether it is meant, ms")
    ] = 500
    barge_in_min_words: Annotated[
        Count, _doc("Words that stop the avatar; such as only tell that one listens do not count")
    ] = 1
    barge_in_silence_ms: Annotated[
        Millis, _doc("Silence after which an avatar that was not meant to stop speaks on, ms")
    ] = 400
    barge_in_wait_ms: Annotated[Millis, _doc("Longest pause without words that stop the avatar, ms")] = 2500
    barge_in_echo_share: Annotated[
        Share, _doc("Words are the avatar's own, heard again, if this share of them is what it says")
    ] = 0.7
    barge_in_short_words: Annotated[
        str, _doc("Comma-separated words that stop the avatar though their speech is shorter than barge_in_look_ms")
    ] = (
        "stop,wait,no,nope,hey,hello,but,what,why,who,how,when,where,which,sorry,excuse me,please,listen,enough,quiet,"
        "silence,pause,halt,next,help,hold on,停,等,不,别,什么,安静,待って,止めて,やめて,いや,ちょっと,그만,잠깐,아니"
    )
    barge_in_answer_ms: Annotated[
        Millis, _doc("So close to the avatar's end, a backchannel is an answer, and is heard as one, ms")
    ] = 1000
    backchannels: Annotated[str, _doc("Comma-separated words that only tell that one listens")] = (
        "uh-huh,uh huh,mm-hmm,mm hmm,mhm,mm,hmm,hm,uh,um,ah,oh,yeah,yep,yes,ok,okay,right,sure,i see,got it,"
        "嗯,哦,啊,好的,对,あ,うん,아,어,음,응,네"
    )

    # watching
    otlp_endpoint: Annotated[
        str,
        _doc("OpenTelemetry collector for a trace per turn (OTLP over HTTP), e.g. http://localhost:4318; empty: none"),
    ] = ""

    # faces
    avatars_dir: Annotated[str, _doc("Folder of avatar bundles; empty: the packaged ones")] = ""
    custom_avatars_dir: Annotated[str, _doc("Folder of the avatars that people make; empty: avatars in run_dir")] = ""
    default_avatar: Annotated[str, _doc("Avatar the page starts with")] = "presenter"
    default_model: Annotated[str, _doc("Model of a session that names none; empty: the avatar's own")] = ""
    models_dir: Annotated[
        str, _doc("Folder of downloaded weights: wav2lip/, quicktalk/ in it are looked for by name")
    ] = "./models"
    model_plugins: Annotated[str, _doc("Further models, comma-separated name=module:Class")] = ""
    avatar_max_width: Annotated[
        int, Meta(ge=256, le=2048), _doc("Widest picture of an avatar that is made, pixels")
    ] = 720
    avatar_max_height: Annotated[
        int, Meta(ge=256, le=2048), _doc("Highest picture of an avatar that is made, pixels")
    ] = 1280
    avatar_video_s: Annotated[
        float, Meta(ge=0.5, le=5.0), _doc("So much of a video becomes an avatar's frames, at most, seconds")
    ] = 5.0
    avatar_build_timeout_s: Annotated[Seconds, _doc("Time to make an avatar of an upload, seconds")] = 180.0
    torch_device: Annotated[str, _doc("Device for neural models: auto, cpu, cuda:0")] = "auto"
    quicktalk_asset_root: Annotated[
        str, _doc("Folder of QuickTalk's files, with checkpoints/ in it; empty: quicktalk in models_dir")
    ] = ""
    quicktalk_threads: Annotated[Count, _doc("Threads of QuickTalk's networks where they run on the CPU")] = 1
    wav2lip_backend: Annotated[
        Literal["local", "omnirt"],
        _doc("Where wav2lip runs: local, in the inference process; omnirt, on another machine"),
    ] = "local"
    wav2lip_checkpoint: Annotated[
        str, _doc("Weights of wav2lip (.pth, of 96, 256 or 384 pixels); empty: the best that is in models_dir")
    ] = ""
    wav2lip_batch_size: Annotated[Count, _doc("Frames that wav2lip paints in one pass, of all sessions")] = 8
    wav2lip_cpu_threads: Annotated[
        Count,
        _doc("Threads of wav2lip on the CPU; several that wait for each other on busy cores are slower than one"),
    ] = 1
    wav2lip_precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        _doc("Arithmetic of wav2lip; auto: half precision on CUDA, single on the CPU"),
    ] = "auto"
    wav2lip_compile: Annotated[bool, _doc("Compile wav2lip's network on CUDA; it starts later and runs faster")] = True
    wav2lip_pads: Annotated[
        str, _doc("Pixels added to a face that wav2lip found in a picture: top,bottom,left,right")
    ] = "0,10,0,0"
    wav2lip_max_reference_frames: Annotated[
        int, Meta(ge=1, le=1500), _doc("Frames of an avatar's clip that wav2lip uses")
    ] = 125
    wav2lip_postprocess_mode: Annotated[
        Literal["easy_improved", "opentalking_improved", "basic", "easy_enhanced"],
        _doc("How wav2lip's mouth is laid into the picture; easy_enhanced is refused, for it needs GFPGAN"),
    ] = "easy_improved"
    wav2lip_easy_mask_dilation: Annotated[
        float, Meta(ge=1, le=8), _doc("Height of easy_improved's patch, in heights of the lips")
    ] = 2.5
    wav2lip_easy_mask_feathering: Annotated[
        float, Meta(ge=0, le=10), _doc("Soft border of easy_improved's patch, in tenths of the mouth's width")
    ] = 2.0

    # faces that another machine draws
    musetalk_backend: Annotated[Literal["omnirt"], _doc("Where musetalk runs")] = "omnirt"
    flashtalk_backend: Annotated[
        Literal["omnirt", "direct_ws"], _doc("Where flashtalk runs; direct_ws: FLASHTALK_WS_URL")
    ] = "omnirt"
    flashhead_backend: Annotated[
        Literal["omnirt", "direct_ws"], _doc("Where flashhead runs; direct_ws: FLASHHEAD_WS_URL")
    ] = "direct_ws"
    omnirt_endpoint: Annotated[
        str, _doc("Machine that draws faces (OmniRT or `opentalking synth-server`), e.g. http://gpu-box:8765")
    ] = ""
    omnirt_api_key: Annotated[str, _doc("Key for that machine")] = ""
    omnirt_audio2video_path_template: Annotated[str, _doc("Path of a model's WebSocket there")] = (
        "/v1/audio2video/{model}"
    )
    omnirt_audio2video_models_path: Annotated[str, _doc("Path of its list of models")] = "/v1/audio2video/models"
    flashtalk_ws_url: Annotated[str, _doc("A flashtalk server's own WebSocket, e.g. ws://gpu-box:8765")] = ""
    flashhead_ws_url: Annotated[str, _doc("A flashhead server's own WebSocket")] = ""
    flashhead_model: Annotated[str, _doc("Name by which that server knows its model")] = "soulx-flashhead-1.3b"
    direct_ws_api_key: Annotated[str, _doc("Key for FLASHTALK_WS_URL and FLASHHEAD_WS_URL")] = ""
    remote_open_timeout_s: Annotated[
        float, Meta(gt=0, le=600), _doc("Time for a connection to such a machine and for its first answer, seconds")
    ] = 30.0
    remote_reply_timeout_s: Annotated[
        float, Meta(gt=0, le=600), _doc("Time for each further answer; then the turn is lost, seconds")
    ] = 30.0

    # drawing faces for others: opentalking synth-server
    synth_host: Annotated[str, _doc("Address the synth-server listens on")] = "127.0.0.1"
    synth_port: Annotated[Port, _doc("Its port; 0: any free")] = 8765
    synth_token: Annotated[str, _doc("Key that clients must bring; empty: none is asked for")] = ""
    synth_model: Annotated[str, _doc("Model it serves, which must run locally")] = "portrait"
    synth_names: Annotated[str, _doc("Comma-separated names it serves it under; empty: the model's own")] = ""
    synth_max_sessions: Annotated[Count, _doc("Sessions it serves at once")] = 8
    synth_slice_len: Annotated[int, Meta(ge=1, le=250), _doc("Pictures an answer, if the client does not say")] = 8
    synth_pipeline: Annotated[int, Meta(ge=1, le=64), _doc("Sound messages that may be on their way at once")] = 4
    synth_jpeg_quality: Annotated[int, Meta(ge=1, le=100), _doc("Quality of the pictures it sends")] = 90

    # media
    prebuffer_ms: Annotated[int, Meta(ge=0, le=480), _doc("Speech buffered before a turn starts to play, ms")] = 80
    video_codec: Annotated[
        Literal["h264", "vp8"], _doc("Preferred codec; the other is used when the browser lacks it")
    ] = "h264"
    video_bitrate: Annotated[int, Meta(ge=50_000, le=20_000_000), _doc("Target video bitrate, bit/s")] = 1_000_000
    audio_bitrate: Annotated[int, Meta(ge=6_000, le=510_000), _doc("Opus bitrate, bit/s")] = 32_000
    keyframe_min_interval_ms: Annotated[Millis, _doc("At most one requested keyframe per this, ms")] = 300
    ice_servers: Annotated[
        str, _doc("Comma-separated stun:/turn: URLs; turn:user:password@host:port is understood")
    ] = ""
    ice_port_range: Annotated[str, _doc("UDP ports for media, e.g. 40000-40100; empty: any")] = ""
    public_address: Annotated[str, _doc("Public IP that candidates announce when the server is behind 1:1 NAT")] = ""
    peer_grace_s: Annotated[Seconds, _doc("How long a session waits for a lost browser to come back, seconds")] = 30.0

    # limits
    max_body_bytes: Annotated[int, Meta(ge=1024), _doc("Largest JSON body accepted, bytes")] = 262_144
    max_audio_bytes: Annotated[int, Meta(ge=1024), _doc("Largest recording accepted as a file, bytes")] = 15_000_000
    max_avatar_image_bytes: Annotated[int, Meta(ge=1024), _doc("Largest picture for an avatar, bytes")] = 10_000_000
    max_avatar_video_bytes: Annotated[int, Meta(ge=1024), _doc("Largest video for an avatar, bytes")] = 200_000_000
    max_custom_avatars: Annotated[int, Meta(ge=0), _doc("Avatars that people may make; 0: nobody makes any")] = 100
    max_custom_avatars_bytes: Annotated[
        int, Meta(ge=0), _doc("Disk that those may take with what models keep of them, bytes")
    ] = 10_000_000_000
    max_text_chars: Annotated[int, Meta(ge=1), _doc("Longest text of one speak or chat, characters")] = 4000

    def public_base(self) -> str:
        return f"http://{self.api_host if self.api_host != '0.0.0.0' else '127.0.0.1'}:{self.api_port}"

    @property
    def shm_root(self) -> Path:
        """Folder in shared memory of this node's rings."""
        return Path("/dev/shm") / f"opentalking-{self.node}"

    @property
    def cache_dir(self) -> Path:
        return Path(self.run_dir).resolve() / "cache"


# Names under which the original knows the same; without the prefix. Ours comes first if both are set.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "tts_provider": ("TTS_DEFAULT_PROVIDER",),
    "stt_provider": ("STT_DEFAULT_PROVIDER",),
    "stt_base_url": ("STT_OPENAI_BASE_URL",),
    "stt_api_key": ("STT_OPENAI_API_KEY",),
    "stt_model": ("STT_OPENAI_MODEL",),
    "dashscope_api_key": ("TTS_DASHSCOPE_API_KEY", "STT_DASHSCOPE_API_KEY"),
    "first_fragment_min_chars": ("CHAT_FIRST_SENT_MIN_CHARS",),
}


# what `opentalking up` tells its processes, and where settings are read from
_OF_PROCESSES = frozenset(
    PREFIX + name
    for name in (
        "ENV_FILE",
        "LLM_AUTOSTART",
        "LLM_EMBEDDED",
        "PYTHON",
        "REDIS_AUTOSTART",
        "REDIS_BINARY",
        "STOP_WAIT_S",
        "SUPERVISOR_SOCKET",
        "WORKER_NUMBER",
    )
)


def env_name(field: str) -> str:
    return PREFIX + field.upper()


def env_names(field: str) -> list[str]:
    """Every variable that a setting is read from, ours first."""
    return [env_name(field), *(PREFIX + name for name in OTHER_NAMES.get(field, ()))]


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines; `#` comments, optional `export`, optional quotes. A missing file is empty."""
    values: dict[str, str] = {}
    if not path.is_file():
        return values
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        key, separator, value = text.partition("=")
        if not separator:
            raise SettingsError(f"{path}:{number}: expected KEY=VALUE")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[key.strip()] = value
    return values


def merged_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What settings are read from: the process's environment over `.env`."""
    process = dict(os.environ if environ is None else environ)
    return {**read_env_file(Path(process.get("OPENTALKING_ENV_FILE", ".env"))), **process}


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read all settings. Raises SettingsError naming the variable and what is wrong with it."""
    merged = merged_environ(environ)
    values: dict[str, Any] = {}
    hints = get_type_hints(Settings, include_extras=True)
    for field in msgspec.structs.fields(Settings):
        name = next((name for name in env_names(field.name) if name in merged), env_name(field.name))
        raw = merged.get(name)
        if raw is None or (raw == "" and field.default != ""):
            continue
        try:
            values[field.name] = msgspec.convert(raw, hints[field.name], strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{name}={raw!r}: {error}") from None
    values.setdefault("node", "")
    values["node"] = values["node"] or socket.gethostname()
    return Settings(**values)


def unknown_names(environ: Mapping[str, str]) -> dict[str, str]:
    """OPENTALKING_* variables that are no setting, each with the setting that may be meant, or nothing."""
    known = [name for field in msgspec.structs.fields(Settings) for name in env_names(field.name)]
    strange = [name for name in environ if name.startswith(PREFIX) and name not in known and name not in _OF_PROCESSES]
    return {name: next(iter(get_close_matches(name, known, 1, 0.85)), "") for name in strange}


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read once."""
    return load_settings()


def settings_table() -> list[tuple[str, str, str]]:
    """(variable, default, sentence) of every setting, for the README and `opentalking settings`."""
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        sentence = next(m.description for m in reversed(get_args(hints[field.name])[1:]) if m.description)
        rows.append((env_name(field.name), str(field.default), sentence))
    return rows
