"""Two network namespaces with one cable between them: as two machines are, and unlike loopback."""

from __future__ import annotations

import os
import subprocess

FIRST, SECOND = "10.77.7.1", "10.77.7.2"


class TwoMachines:
    """`with TwoMachines() as (one, other)`: namespaces for `ip netns exec`, reachable at FIRST and SECOND."""

    def __init__(self) -> None:
        self.names = (f"ot-{os.getpid()}-a", f"ot-{os.getpid()}-b")
        self._made: list[str] = []

    def __enter__(self) -> tuple[str, str]:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self.names

    def _make(self) -> None:
        for name in self.names:
            _ip("netns", "add", name)
            self._made.append(name)
        one, other = self.names
        near, far = f"ot{os.getpid() % 100_000}a", f"ot{os.getpid() % 100_000}b"
        _ip("link", "add", near, "netns", one, "type", "veth", "peer", "name", far, "netns", other)
        for name, cable, address in ((one, near, FIRST), (other, far, SECOND)):
            _ip("-n", name, "address", "add", f"{address}/30", "dev", cable)
            _ip("-n", name, "link", "set", cable, "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def __exit__(self, *_: object) -> None:
        while self._made:
            _ip("netns", "delete", self._made.pop())


def _ip(*arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError("this test needs the command `ip`: apt install iproute2") from None
    if done.returncode:
        root = "" if os.geteuid() == 0 else " This test must be run by root."
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip() or done.returncode}.{root}")
