"""The synth-server's process: `opentalking synth-server`, or `python -m workers.synth` with OPENTALKING_SYNTH_* set.

It needs neither Redis nor the other processes. What it makes of clients' pictures lies in a folder that goes with it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import uvloop
from aiohttp import web

from opentalking.avatars import AvatarError, avatars_dir, find_bundle
from opentalking.config import Settings, SettingsError, load_settings
from opentalking.models.adapter import LateAdapter, ModelAdapter, ModelError
from opentalking.models.device import choose_device
from opentalking.models.pace import Pace, measure_pace
from opentalking.models.registry import create_adapter
from opentalking.types import FRAME_MS
from workers.synth.app import PATH, SynthServer
from workers.synth.device import Device
from workers.synth.faces import Faces
from workers.synth.scratch import scratch_folder

_log = logging.getLogger("synth")


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 1: the model cannot be served, or the port is taken; 2: a setting."""
    with scratch_folder() as folder:
        os.environ["OPENTALKING_RUN_DIR"] = str(folder)  # adapters keep what they prepare below it: nothing of it stays
        try:
            config = load_settings()
        except SettingsError as error:
            print(f"opentalking synth-server: {error}", file=sys.stderr)
            return 2
        logging.basicConfig(level=config.log_level, format="%(asctime)s synth %(levelname)s %(name)s: %(message)s")
        logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
        try:
            uvloop.run(_serve(config, folder))
        except (ModelError, OSError) as error:
            print(f"opentalking synth-server: {error}", file=sys.stderr)
            return 1
    return 0


async def _serve(config: Settings, folder: Path) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    device = Device(_adapter(config), config.synth_jpeg_quality)
    try:
        await device.run(device.adapter.load_model, choose_device(config.torch_device))
        pace = await _measure(device, config)
        server = SynthServer(device, Faces(device.adapter, folder / "faces", config, pace), config)
        runner = web.AppRunner(server.app(), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, config.synth_host, config.synth_port).start()
        host, port = runner.addresses[0][:2]
        for name in server.names:
            print(f"serving {device.adapter.model_type} at ws://{host}:{port}{PATH}/{name}", flush=True)
        if not config.synth_token and config.synth_host not in ("127.0.0.1", "::1", "localhost"):
            _log.warning("anybody who reaches %s:%s may use this server: set OPENTALKING_SYNTH_TOKEN", host, port)
        await stopping.wait()
        await runner.cleanup()
    finally:
        device.close()


async def _measure(device: Device, config: Settings) -> Pace | None:
    """Warm the model with the default avatar, and say how many it can serve; what a frame takes there, with its JPEG.

    None if there is no such avatar. Raises ModelError if the model is too slow."""
    try:
        bundle = find_bundle(avatars_dir(config), config.default_avatar)
        avatar = await asyncio.to_thread(device.adapter.load_avatar, bundle.path)
    except AvatarError as error:
        _log.info("not measured: %s", error)
        return None
    await device.run(device.adapter.warmup, avatar)
    pace = await device.run(measure_pace, device.adapter, avatar)
    if not pace.holds:
        took = f"{config.synth_model} takes {pace.frame_ms:.0f} ms"
        raise ModelError(f"{took} a frame here, and a frame lasts {FRAME_MS}", "too_slow")
    _log.info("a frame of %s takes %.1f ms: %d sessions can speak at once", bundle.id, pace.frame_ms, pace.sessions)
    jpeg_ms = await device.run(device.encoding_ms, avatar)
    return replace(pace, frame_ms=pace.frame_ms + jpeg_ms, drawing_ms=pace.drawing_ms + jpeg_ms)


def _adapter(config: Settings) -> ModelAdapter:
    adapter = create_adapter(config.synth_model, config)
    if isinstance(adapter, LateAdapter):
        raise ModelError(f"{config.synth_model} runs on another machine by your settings; serve a model that is local")
    return adapter


if __name__ == "__main__":
    raise SystemExit(main())
