"""Make an avatar of a photo or a short video, list avatars, delete one that was made.

opentalking avatar check PHOTO
opentalking avatar build PHOTO_OR_VIDEO --name Ada --i-have-consent
opentalking avatar list
opentalking avatar delete custom-ada-1790000000000
"""

from __future__ import annotations

import argparse
import errno
import getpass
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from opentalking.avatars import AvatarError, custom_avatars_dir, find_avatar, list_avatars
from opentalking.avatars.custom import delete_avatar, leave
from opentalking.avatars.quality import PictureRefused, QualityReport
from opentalking.avatars.storage import AvatarsFull
from opentalking.cli.instance import running_instance
from opentalking.cli.plan import run_dir_of
from opentalking.config import Settings, load_settings
from opentalking.models.adapter import ModelError
from opentalking.models.device import choose_device
from opentalking.models.idle_clip import prepare_avatar
from opentalking.models.registry import create_adapter

CPU_FACE = "portrait"  # prepared at once; what other models keep takes their device, and is made at first use
REFUSED = 1
USAGE_ERROR = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    one = verbs.add_parser("build", help="make an avatar; exit code 1: refused, with the reasons")
    one.add_argument("source", type=Path, metavar="PHOTO_OR_VIDEO", help="PNG, JPEG, WebP; MP4, WebM, MOV, AVI")
    one.add_argument("--name", default="", help="how people call it; default: the file's name")
    one.add_argument("--id", default="", help="its id; default: made of the name and the time")
    one.add_argument("--output", type=Path, help="folder of bundles; default: OPENTALKING_CUSTOM_AVATARS_DIR")
    one.add_argument("--model", default="portrait", help="model that shows it")
    one.add_argument("--base-avatar-id", default="", help=argparse.SUPPRESS)
    one.add_argument("--person-mode", default="single", help=argparse.SUPPRESS)
    one.add_argument(
        "--i-have-consent", action="store_true", help="the person in the picture agrees to be shown speaking"
    )
    one.add_argument("--consent-by", default="", help="who says so; default: you")
    one.add_argument("--json", action="store_true", help="for programs: a line of JSON a step, the last the result")
    look = verbs.add_parser("check", help="only say what speaks for and against a picture; exit code 1: refused")
    look.add_argument("source", type=Path, metavar="PHOTO_OR_VIDEO")
    look.add_argument("--json", action="store_true", help="for programs")
    verbs.add_parser("list", help="avatars that sessions can use")
    warm = verbs.add_parser("prewarm", help="make what a model keeps of an avatar before the first session wants it")
    warm.add_argument("id")
    warm.add_argument("--model", default="", help="default: the avatar's own")
    warm.add_argument("--json", action="store_true", help="for programs")
    gone = verbs.add_parser("delete", help="remove an avatar that was made")
    gone.add_argument("id")


def run(options: argparse.Namespace) -> int:
    settings = load_settings()
    signal.signal(signal.SIGTERM, _stop)
    verbs = {"build": _build, "check": _check, "list": _list, "prewarm": _prewarm, "delete": _delete}
    try:
        return verbs[options.verb](options, settings)
    except (AvatarError, ModelError, OSError) as error:
        if getattr(options, "json", False):
            _line({"error": {"code": _code(error), "detail": str(error)}})
        else:
            print(f"opentalking: {error}", file=sys.stderr)
        return REFUSED


def _code(error: Exception) -> str:
    if isinstance(error, AvatarsFull):
        return error.code
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk_full" if full else "avatar_not_made"


def _stop(*_: object) -> None:
    """Being told to stop unwinds like Ctrl-C, so that nothing half-made is left."""
    raise KeyboardInterrupt


def _build(options: argparse.Namespace, settings: Settings) -> int:
    if not options.i_have_consent:
        print("opentalking: does the person in the picture agree? Say so with --i-have-consent", file=sys.stderr)
        return USAGE_ERROR
    from opentalking.avatars.build import Order, build, consent_now  # loads OpenCV, which other commands do without

    order = Order(
        source=options.source,
        folder=options.output or custom_avatars_dir(settings),
        consent=consent_now(options.consent_by or getpass.getuser()),
        name=options.name,
        avatar_id=options.id,
        model_type=options.model,
        base_avatar_id=options.base_avatar_id,
        person_mode=options.person_mode,
    )
    prepare = None
    if options.model == CPU_FACE:
        adapter = create_adapter(options.model, settings)
        prepare = partial(prepare_avatar, settings.cache_dir, adapter)
    progress = _progress_json if options.json else _Progress()
    try:
        built = build(order, settings, progress, prepare)
    except PictureRefused as refused:
        if options.json:
            _line({"error": {"code": refused.code, "detail": str(refused), "report": refused.report}})
        else:
            print(report_text(refused.report), file=sys.stderr)
        return REFUSED
    if options.json:
        _line({"avatar_id": built.bundle.id, "report": built.report})
    else:
        print(report_text(built.report))
        print(f"{built.bundle.id}  ({built.bundle.path})")
    return 0


def _check(options: argparse.Namespace, settings: Settings) -> int:
    from opentalking.avatars.build import check

    report = check(options.source, settings)
    if options.json:
        _line(report)
    else:
        print(report_text(report))
    return REFUSED if report.verdict == "refuse" else 0


def _list(options: argparse.Namespace, settings: Settings) -> int:
    for bundle in list_avatars(settings):
        made = "made here" if bundle.path.parent == custom_avatars_dir(settings) else ""
        size = f"{bundle.manifest.width}x{bundle.manifest.height}"
        print(f"{bundle.id:<44}{bundle.manifest.model_type:<12}{size:<12}{bundle.name:<24}{made}".rstrip())
    return 0


def _prewarm(options: argparse.Namespace, settings: Settings) -> int:
    bundle = find_avatar(settings, options.id)
    model = options.model or bundle.manifest.model_type
    adapter = create_adapter(model, settings)
    adapter.load_model(choose_device(settings.torch_device))
    prepare_avatar(settings.cache_dir, adapter, bundle.path)
    if options.json:
        _line({"avatar_id": bundle.id, "model": model})
    else:
        print(f"{bundle.id} is ready for {model}")
    return 0


def _delete(options: argparse.Namespace, settings: Settings) -> int:
    if running_instance(run_dir_of(settings)) is None:
        delete_avatar(settings, options.id)
    else:  # whose sessions may show it: its API finishes this
        leave(settings, options.id)
    print(f"deleted {options.id}")
    return 0


class _Progress:
    """One line a stage: reading, looking, …"""

    def __init__(self) -> None:
        self._stage = ""

    def __call__(self, stage: str, share: float) -> None:
        if stage != self._stage:
            self._stage = stage
            print(f"{share:4.0%}  {stage}", flush=True)


def _progress_json(stage: str, share: float) -> None:
    _line({"stage": stage, "share": round(share, 3)})


def _line(value: Any) -> None:
    print(msgspec.json.encode(value).decode(), flush=True)


def report_text(report: QualityReport) -> str:
    """The report for a person: the verdict, the face, and a line a finding."""
    heads = {"ok": "fine", "warn": "usable", "refuse": "refused"}
    lines = [f"{heads[report.verdict]}: {report.width}x{report.height} pixels"]
    if (face := report.face) is not None:
        lines.append(
            f"  face {face.width_px:.0f} pixels wide; yaw {face.yaw:+.0f}, pitch {face.pitch:+.0f}, "
            f"roll {face.roll:+.0f} degrees; sharpness {face.sharpness:.2f}, brightness {face.exposure:.2f}"
        )
    lines += [f"  {finding.severity:<7}{finding.code}: {finding.message}" for finding in report.findings]
    return "\n".join(lines)
