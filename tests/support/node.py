"""A whole node as a user starts it (`opentalking up -d`), in a folder and on ports of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from pathlib import Path

import psutil
import redis

ROOT = Path(__file__).resolve().parents[2]
TONE = f"{__package__}.tone:ToneTTS"
MIRROR = f"{__package__}.mirror:MirrorAdapter"
SLOW = f"{__package__}.slow_model:SlowAdapter"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Node:
    """`async with Node(OPENTALKING_LOG_LEVEL="DEBUG") as node: node.base`. Environment variables are its settings.

    Tones keep their level, by which they are told from what is not a tone."""

    def __init__(self, cache: Path | None = None, **environ: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="otnode-")
        self.run_dir = Path(self._folder.name) / "run"
        if cache is not None:  # models that were split or built once need not be again
            cache.mkdir(parents=True, exist_ok=True)
            self.run_dir.mkdir()
            (self.run_dir / "cache").symlink_to(cache)
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        checkout = str(ROOT) if (ROOT / "pyproject.toml").is_file() else ""  # in a wheel, `opentalking` is above us
        path = os.pathsep.join(filter(None, (checkout, os.environ.get("PYTHONPATH", ""))))
        clean = {key: value for key, value in os.environ.items() if not key.startswith("OPENTALKING_")}
        self.environ = {
            **clean,
            "PYTHONPATH": path,
            "OPENTALKING_ENV_FILE": os.devnull,
            "OPENTALKING_RUN_DIR": str(self.run_dir),
            "OPENTALKING_API_PORT": str(port),
            "OPENTALKING_NODE": f"test-{port}",
            "OPENTALKING_TTS_LOUDNESS_DB": "0" if TONE in environ.get("OPENTALKING_TTS_PLUGINS", "") else "-23",
            **environ,
        }
        self.shm = Path("/dev/shm") / f"opentalking-{self.environ['OPENTALKING_NODE']}"

    async def cli(self, *arguments: str) -> tuple[int, str]:
        """Run `opentalking …` for this node; returns exit code and output."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "opentalking.cli", *arguments),
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    async def __aenter__(self) -> Node:
        code, output = await self.cli("up", "-d")
        if code:
            logs = "\n".join(f"--- {log.name}\n{log.read_text()[-2000:]}" for log in self.logs())
            await self.cli("down")
            raise RuntimeError(f"the node did not start:\n{output}\n{logs}")
        return self

    async def __aexit__(self, *_: object) -> None:
        code, output = await self.cli("down")
        self._folder.cleanup()
        if code:
            raise RuntimeError(f"the node did not stop:\n{output}")

    def logs(self) -> list[Path]:
        return sorted((self.run_dir / "logs").glob("*.log"))

    def redis(self) -> redis.Redis:
        """A plain client of the node's embedded Redis, as redis-cli would be."""
        for process in self.processes().values():
            url = process.environ().get("OPENTALKING_REDIS_URL")
            if url:
                return redis.Redis.from_url(url, decode_responses=True)
        raise RuntimeError("no process of the node is running")

    def processes(self) -> dict[str, psutil.Process]:
        """Our worker and api processes by role, e.g. {"api": …, "rtc-0": …}."""
        found = {}
        for process in psutil.process_iter(["environ", "cmdline"]):
            environ = process.info["environ"] or {}
            command = process.info["cmdline"] or []
            if environ.get("OPENTALKING_RUN_DIR") != str(self.run_dir) or "-m" not in command:
                continue
            module = command[command.index("-m") + 1]
            role = module.removeprefix("workers.")
            if role in ("speech", "inference", "rtc"):
                role += "-" + environ.get("OPENTALKING_WORKER_NUMBER", "0")
            if role == "api" or module.startswith("workers."):
                found[role] = process
        return found
