"""What is to be said of a picture that shall become an avatar: a verdict, and each reason with its figure.

A finding's `code` is stable, its `message` tells a person what to do. One refusal refuses the picture; warnings do not.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from opentalking.avatars.bundle import AvatarError

Severity = Literal["warn", "refuse"]
Verdict = Literal["ok", "warn", "refuse"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong. `value` was measured, `limit` is what it should have kept; both in the code's unit."""

    code: str
    severity: Severity
    message: str
    value: float | None = None
    limit: float | None = None


class FaceMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """The face as it was found in the picture, upright. Angles in degrees, 0 is straight at the camera."""

    box: tuple[float, float, float, float]  # left, top, right, bottom; 0..1 of the picture
    width_px: float  # cheek to cheek
    yaw: float  # positive: turned to the person's left
    pitch: float  # positive: looking up
    roll: float  # positive: the head leans to the right of the picture
    mouth_opening: float  # gap of the inner lips over the distance of the outer eye corners
    sharpness: float  # 1 is crisp, below 0.3 is blurred
    exposure: float  # mean luma of the skin, 0..1


class QualityReport(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one picture. `face` is None where none was found."""

    verdict: Verdict
    findings: list[Finding] = []
    width: int = 0  # of the upright picture, pixels
    height: int = 0
    face: FaceMeasures | None = None

    @property
    def refusal(self) -> Finding | None:
        """The first reason to refuse."""
        return next((finding for finding in self.findings if finding.severity == "refuse"), None)


def report(findings: list[Finding], size: tuple[int, int] = (0, 0), face: FaceMeasures | None = None) -> QualityReport:
    """The report that these findings come to; `size` is (width, height)."""
    severities = {finding.severity for finding in findings}
    verdict: Verdict = "refuse" if "refuse" in severities else "warn" if severities else "ok"
    return QualityReport(verdict=verdict, findings=findings, width=size[0], height=size[1], face=face)


class PictureRefused(AvatarError):
    """A picture or a video that cannot become an avatar; `report` says why, the message is its first refusal."""

    def __init__(self, told: QualityReport) -> None:
        assert told.refusal is not None
        super().__init__(told.refusal.message)
        self.report = told
        self.code = told.refusal.code


def refusal(code: str, message: str, value: float | None = None, limit: float | None = None) -> PictureRefused:
    """The exception of one reason, where nothing more is known of the picture."""
    return PictureRefused(report([Finding(code, "refuse", message, value, limit)]))
