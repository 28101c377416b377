"""Send one command to this node's Redis and print the answer as redis-cli does; without a command, read them from you.

opentalking redis ZRANGE opentalking:sessions 0 -1
opentalking redis HGETALL opentalking:session:sess_0123456789ab
opentalking redis PUBLISH opentalking:interrupt sess_0123456789ab
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

import redis
from redis.exceptions import RedisError

from opentalking.cli.instance import running_instance
from opentalking.cli.plan import run_dir_of
from opentalking.config import load_settings

_STREAMING = {"SUBSCRIBE", "PSUBSCRIBE", "MONITOR"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run-dir", help="the run directory it was started with (OPENTALKING_RUN_DIR)")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="e.g. HGETALL key")


def run(options: argparse.Namespace) -> int:
    settings = load_settings()
    instance = running_instance(run_dir_of(settings))
    url = instance.redis_url if instance else settings.redis_url
    if not url:
        print("opentalking: nothing is running here and OPENTALKING_REDIS_URL is not set", file=sys.stderr)
        return 3
    try:
        connection = redis.Redis.from_url(url, decode_responses=True, protocol=2).connection_pool.get_connection()
        if options.words:
            return 0 if _converse(connection, options.words) else 1
        return _read_commands(connection, url)
    except RedisError as error:
        print(f"opentalking: {error}", file=sys.stderr)
        return 1


def _read_commands(connection: Any, url: str) -> int:
    prompt = f"{url.rpartition('@')[2].removeprefix('redis://')}> " if sys.stdin.isatty() else ""
    ok = True
    while True:
        try:
            words = shlex.split(input(prompt))
        except EOFError:
            return 0 if ok else 1
        except ValueError as error:
            print(f"(error) {error}")
            continue
        if words and words[0].lower() in ("quit", "exit"):
            return 0
        if words:
            ok = _converse(connection, words) and ok


def _converse(connection: Any, words: list[str]) -> bool:
    """Send a command, print what comes back; False when that is an error."""
    connection.send_command(*words)
    while True:
        try:
            print(shown(connection.read_response(timeout=None)), flush=True)
        except redis.ResponseError as error:
            print(f"(error) {error}")
            return False
        if words[0].upper() not in _STREAMING:
            return True


def shown(answer: Any, indent: str = "") -> str:
    """An answer in redis-cli's notation: (integer) 3, "text", (nil), numbered lists."""
    if answer is None:
        return "(nil)"
    if isinstance(answer, int):
        return f"(integer) {answer}"
    if isinstance(answer, str):
        return '"' + answer.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if not isinstance(answer, list):
        return str(answer)
    if not answer:
        return "(empty array)"
    width = len(str(len(answer)))
    lines = []
    for number, item in enumerate(answer, 1):
        label = f"{number:>{width}}) "
        lines.append(("" if number == 1 else indent) + label + shown(item, indent + " " * len(label)))
    return "\n".join(lines)
