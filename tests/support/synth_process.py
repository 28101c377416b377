"""`opentalking synth-server` as a user starts it, if wanted in a network namespace of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, Self

from .node import MIRROR, ROOT, SLOW


class SynthProcess:
    """`with SynthProcess("--model", "mirror") as server: server.base`. Environment variables are its settings."""

    def __init__(self, *options: str, host: str = "127.0.0.1", port: int = 0, namespace: str = "", **environ: str):
        self._options = [*options, "--host", host]
        self._port = port
        self._inside = ["ip", "netns", "exec", namespace] if namespace else []
        self._environ = environ
        self.process: subprocess.Popen[str]
        self.base = ""

    def start(self) -> None:
        """Until it says where it serves. A second start, after a crash, is on the same port."""
        command = [sys.executable, "-m", "opentalking.cli", "synth-server", *self._options, "--port", str(self._port)]
        environ = clean_environ(**self._environ)
        self.process = subprocess.Popen([*self._inside, *command], env=environ, stdout=subprocess.PIPE, text=True)
        said = self._output.readline()
        if "ws://" not in said:
            raise RuntimeError(f"the synth-server did not start: exit code {self.process.wait()}, {said!r}")
        self.base = "http://" + said.partition("ws://")[2].partition("/")[0]
        self._port = int(self.base.rpartition(":")[2])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Its exit code."""
        self.process.terminate()
        code = self.process.wait(30)
        self._output.close()
        return code

    @property
    def _output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def clean_environ(**settings: str) -> dict[str, str]:
    """Ours, with the stand-in model and these settings alone."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENTALKING_")}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    own = {
        "PYTHONPATH": path,
        "OPENTALKING_ENV_FILE": os.devnull,
        "OPENTALKING_MODEL_PLUGINS": f"mirror={MIRROR},slow={SLOW}",
    }
    return {**kept, **own, **settings}
