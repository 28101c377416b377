"""A picture is looked at as a portrait: which face it shows, which way up it is, and what speaks against it.

    upright picture ─ faces ─ one? large enough? whole? ─ pose ─ sharp? lit? ─ mouth seen, closed? ─> report

Limits and the pictures they were chosen on: docs/photo.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from opentalking.avatars.faces import SMALLEST_SHARE, Face
from opentalking.avatars.head_up import head_up
from opentalking.avatars.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, FaceFinder, mouth_opening
from opentalking.avatars.mouth import mouth_evidence, upper_face, upright
from opentalking.avatars.quality import FaceMeasures, Finding, QualityReport, report
from opentalking.avatars.worn import Worn, worn
from opentalking.types import Float32, UInt8

WIDTH_PX = (80.0, 160.0)  # cheek to cheek: refused below the first, warned of below the second
YAW_DEG = (20.0, 10.0)  # either way: refused above the first
PITCH_DEG = (15.0, 9.0)  # as measured; the mesh sees two thirds of it
ROLL_DEG = (25.0, 10.0)
SHARPNESS = (0.33, 0.45)
DARK = (0.10, 0.25)  # the brightest twentieth of the face's luma
CLIPPED = (0.35, 0.12)  # share of the face that is burnt out
CUT_OFF = 0.03  # of the face's height that may lie outside
OPENING = (0.40, 0.06)  # inner lips apart, in eye distances
SMILE = 0.62  # corners of the mouth apart, in eye distances
UNSTEADY = (1.25, 1.1)
SEAM = (0.05, 0.08)
REDNESS = (-3.0, -1.5)
BEARD, FRAMES = -25.0, 1.2  # warned of: see worn.py
_CRISP = 0.4  # share of fine detail in a sharp face
_MOUTH_CORNERS = (61, 291)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture turned so that the head is up, its one face (None if there is none to speak of), and the verdict."""

    bgr: UInt8
    face: Face | None
    report: QualityReport


def assess(finder: FaceFinder, bgr: UInt8) -> Portrait:
    """Look at a picture, uint8 (height, width, 3). Refuses nothing itself: the verdict is in the report."""
    bgr, faces, turned = head_up(finder, bgr)
    size = (bgr.shape[1], bgr.shape[0])
    if not faces:
        message = "no face was found; use a portrait from the front, the face well lit and in full view"
        return Portrait(bgr, None, report([Finding("no_face", "refuse", message)], size))
    face = faces[0]
    findings = [Finding("turned_picture", "warn", f"the picture lay on its side and was turned by {turned} degrees")]
    findings = (findings if turned else []) + _company(faces) + _place(face, size)
    crop, points = upright(bgr, face)
    sharpness, exposure = _sharpness(crop), _exposure(crop, points)
    if not _refused(findings):
        findings += _pose(face) + _light(crop, points, sharpness, exposure)
    if not _refused(findings):  # of a blurred or turned mouth nothing can be told
        wears = worn(crop, points)
        soft = any(finding.code == "blurred" for finding in findings)
        findings += _mouth(finder, bgr, face, soft, bearded=wears.chin < BEARD) + _worn(wears)
    left, top, right, bottom = face.box
    edges = (left / size[0], top / size[1], right / size[0], bottom / size[1])
    box = [round(min(1.0, max(0.0, edge)), 4) for edge in edges]
    measures = FaceMeasures(
        box=(box[0], box[1], box[2], box[3]),
        width_px=round(face.width, 1),
        yaw=round(face.pose.yaw, 1),
        pitch=round(face.pose.pitch, 1),
        roll=round(face.pose.roll, 1),
        mouth_opening=round(mouth_opening(face.points), 3),
        sharpness=round(sharpness, 2),
        exposure=round(exposure, 2),
    )
    return Portrait(bgr, face, report(findings, size, measures))


def _refused(findings: list[Finding]) -> bool:
    return any(finding.severity == "refuse" for finding in findings)


def _judge(code: str, value: float, limits: tuple[float, float], refused: str, warned: str) -> list[Finding]:
    """A finding if the value is past a limit, (refuse, warn): under it if refusing is the lower one, else over it."""
    falling = limits[0] < limits[1]

    def past(limit: float) -> bool:
        return value < limit if falling else value > limit

    rounded = round(value, 3)
    if past(limits[0]):
        return [Finding(code, "refuse", refused.format(value), rounded, limits[0])]
    if past(limits[1]):
        return [Finding(code, "warn", warned.format(value), rounded, limits[1])]
    return []


def _company(faces: list[Face]) -> list[Finding]:
    """Who else is in the picture."""
    others = [face.width / faces[0].width for face in faces[1:]]
    if others and others[0] > SMALLEST_SHARE:
        message = f"there are {sum(o > SMALLEST_SHARE for o in others) + 1} faces; use a picture of one person"
        return [Finding("several_faces", "refuse", message, round(others[0], 2), round(SMALLEST_SHARE, 2))]
    if others:
        message = "somebody else is in the background and will stand still there"
        return [Finding("background_faces", "warn", message, round(others[0], 2), round(SMALLEST_SHARE, 2))]
    return []


def _place(face: Face, size: tuple[int, int]) -> list[Finding]:
    """Size of the face, and whether all of it is there."""
    found = _judge(
        "face_too_small",
        face.width,
        WIDTH_PX,
        f"the face is {{:.0f}} pixels wide, at least {WIDTH_PX[0]:.0f} are needed; go nearer, or cut the picture less",
        f"the face is only {{:.0f}} pixels wide and will look soft; {WIDTH_PX[1]:.0f} or more are good",
    )
    left, top, right, bottom = face.box
    outside = max(-left, right - size[0], -top, bottom - size[1]) / (bottom - top)
    if outside > CUT_OFF:
        message = "the edge of the picture cuts through the face; use one with the whole head in it"
        found.append(Finding("face_cut_off", "refuse", message, round(outside, 2), CUT_OFF))
    return found


def _pose(face: Face) -> list[Finding]:
    pose = face.pose
    return [
        *_judge(
            "turned_away",
            abs(pose.yaw),
            YAW_DEG,
            "the head is turned aside by {:.0f} degrees; it has to look at the camera",
            "the head is turned aside by {:.0f} degrees; looking at the camera is better",
        ),
        *_judge(
            "looks_up_or_down",
            abs(pose.pitch),
            PITCH_DEG,
            "the head looks up or down by {:.0f} degrees; hold the camera at the height of the eyes",
            "the head looks up or down by {:.0f} degrees; the camera at the height of the eyes is better",
        ),
        *_judge(
            "tilted",
            abs(pose.roll),
            ROLL_DEG,
            "the head leans by {:.0f} degrees; hold it, or the camera, upright",
            "the head leans by {:.0f} degrees; upright is better",
        ),
    ]


def _light(crop: UInt8, points: Float32, sharpness: float, exposure: float) -> list[Finding]:
    face = upper_face(points)
    clipped = float((crop[face].min(axis=1) > 250).mean()) if face.any() else 0.0
    return [
        *_judge(
            "blurred",
            sharpness,
            SHARPNESS,
            "the face is blurred; use a sharper picture",
            "the face is a little blurred; a sharper picture is better",
        ),
        *_judge(
            "too_dark",
            exposure,
            DARK,
            "the face is too dark to be seen; use a picture with more light on it",
            "the face is dark; more light on it is better",
        ),
        *_judge(
            "over_exposed",
            clipped,
            CLIPPED,
            "the face is burnt out; use a picture with softer light",
            "parts of the face are burnt out; softer light is better",
        ),
    ]


def _worn(wears: Worn) -> list[Finding]:
    found = []
    if wears.chin < BEARD:
        message = "a beard: it moves with the jaw, the hair over the lips does not part"
        found.append(Finding("beard", "warn", message, round(wears.chin, 1), BEARD))
    if wears.frames > FRAMES:
        message = "spectacles: blinks behind them are small, and what they reflect stays"
        found.append(Finding("spectacles", "warn", message, round(wears.frames, 2), FRAMES))
    return found


def _mouth(finder: FaceFinder, bgr: UInt8, face: Face, soft: bool, bearded: bool) -> list[Finding]:
    """Is it there, and is it closed? In a `soft` picture it is hard to make out anyway, and not doubted for that."""
    seen = mouth_evidence(finder, bgr, face)
    what = "the beard hides the lips" if bearded else "something covers the mouth (a hand, a mask, a microphone?)"
    covered = f"{what}; they have to be seen whole" if bearded else f"{what}; it has to be seen whole"
    unclear = "the mouth is hard to make out; if something covers it, use another picture"
    doubts = [
        *_judge("mouth_covered", seen.seam, SEAM, covered, unclear),
        *_judge("mouth_covered", seen.redness, REDNESS, covered, unclear),
        *_judge("mouth_covered", seen.unsteady, UNSTEADY, covered, unclear),
    ]
    doubts = sorted(doubts, key=lambda doubt: doubt.severity)[:1]  # "refuse" before "warn"
    if _refused(doubts):
        return doubts
    doubts = [] if soft else doubts
    eyes = np.linalg.norm(face.points[LEFT_EYE_OUTER, :2] - face.points[RIGHT_EYE_OUTER, :2])
    corners = face.points[_MOUTH_CORNERS[0], :2] - face.points[_MOUTH_CORNERS[1], :2]
    smile = float(np.linalg.norm(corners) / eyes)
    doubts += _judge(
        "mouth_open",
        mouth_opening(face.points),
        OPENING,
        "the mouth is wide open; use a picture with the lips closed",
        "the mouth is open; closed lips give better teeth and a calmer face",
    )
    if smile > SMILE:
        message = "a broad smile stays in every word; a calm face speaks better"
        doubts.append(Finding("smiling", "warn", message, round(smile, 2), SMILE))
    return doubts


def _sharpness(crop: UInt8) -> float:
    """Share of fine detail among all detail of the face, 1 for a crisp one."""
    luma = cv2.cvtColor(crop[70:300, 70:290], cv2.COLOR_BGR2GRAY).astype(np.float32)
    fine, coarse = (float((luma - cv2.GaussianBlur(luma, (0, 0), sigma)).std()) for sigma in (1.5, 6))
    return min(1.0, fine / max(coarse, 1e-3) / _CRISP)


def sharpness_of(bgr: UInt8, face: Face) -> float:
    """How sharp a face is, 0..1, for choosing among frames."""
    return _sharpness(upright(bgr, face)[0])


def _exposure(crop: UInt8, points: Float32) -> float:
    """Luma that a twentieth of the face's upper half exceeds, 0..1: dark skin in good light has bright spots too."""
    luma = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)[upper_face(points)]
    return float(np.percentile(luma, 95)) / 255 if luma.size else 0.0
