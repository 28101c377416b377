"""Where the face is in a picture: BlazeFace finds it, Face Mesh places 468 points on it, both through OpenCV's DNN.

    picture ──square, 128x128──> best box, two eyes ──turned crop, 192x192──> 468 points ──second crop──> 468 points

Point numbers are those of MediaPipe's canonical face model. OpenCV 5's default engine drops outputs of these files, so
the classic engine is asked for by name. Origin and licence of the weights: `weights/NOTICE.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from opentalking.types import Float32, UInt8

POINTS = 468
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263  # the person's own right and left
LIP_UPPER_INNER_MID, LIP_LOWER_INNER_MID = 13, 14

_WEIGHTS = Path(__file__).parent / "weights"
_DETECTOR_SIDE = 128
_MESH_SIDE = 192
_MESH_OUTPUT = "conv2d_21"
_PRESENCE_OUTPUT = "conv2d_31"
_CROP_MARGIN = 1.5  # side of the mesh's crop over the larger side of the face
_MIN_SCORE = 0.5
_SAME_FACE = 0.1  # boxes whose centres are nearer than this, in sides of the picture, are one face


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A detected face in pixels: centre, size, the two eyes, and how sure the detector is (0..1)."""

    centre: tuple[float, float]
    size: tuple[float, float]
    right_eye: tuple[float, float]
    left_eye: tuple[float, float]
    score: float


def _anchors() -> Float32:
    """Centres of the detector's 896 anchors, (896, 2) in 0..1: a 16x16 grid of two and an 8x8 grid of six."""
    rows = []
    for cells, repeats in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2)
        rows.append(np.repeat(grid, repeats, axis=0))
    return np.concatenate(rows).astype(np.float32)


class FaceFinder:
    """The two networks, loaded once."""

    def __init__(self) -> None:
        self._detector = self._read("face_detection_short_range.tflite")
        self._mesh = self._read("face_landmark.tflite")
        self._anchors = _anchors()

    @staticmethod
    def _read(name: str) -> cv2.dnn.Net:
        return cv2.dnn.readNetFromTFLite(str(_WEIGHTS / name), engine=cv2.dnn.ENGINE_CLASSIC)

    def detect(self, bgr: UInt8) -> FaceBox | None:
        """The surest face of `bgr`, uint8 (height, width, 3), or None."""
        return max(self.detect_all(bgr), key=lambda box: box.score, default=None)

    def detect_all(self, bgr: UInt8) -> list[FaceBox]:
        """The faces of `bgr`, the surest first. Those much smaller than a tenth of the picture are not seen."""
        height, width = bgr.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = np.zeros((side, side, 3), np.uint8)
        square[top : top + height, left : left + width] = bgr
        size = (_DETECTOR_SIDE, _DETECTOR_SIDE)
        self._detector.setInput(cv2.dnn.blobFromImage(square, 1 / 127.5, size, (127.5,) * 3, swapRB=True))
        boxes, logits = (
            np.asarray(output).reshape(len(self._anchors), -1)
            for output in self._detector.forward(["regressors", "classificators"])
        )
        scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -80, 80)))
        # x, y, w, h, then six key points, in detector pixels relative to the anchor (w and h absolute)
        found = boxes / _DETECTOR_SIDE
        found[:, :2] += self._anchors
        found[:, 4:] += np.tile(self._anchors, 6)
        faces = []
        left_over = scores >= _MIN_SCORE
        while left_over.any():
            best = int(np.where(left_over, scores, 0).argmax())
            near = left_over & (np.abs(found[:, :2] - found[best, :2]).max(1) < _SAME_FACE)
            x, y, w, h, rx, ry, lx, ly = (np.average(found[near], axis=0, weights=scores[near]) * side)[:8].tolist()
            score = float(scores[best])
            faces.append(FaceBox((x - left, y - top), (w, h), (rx - left, ry - top), (lx - left, ly - top), score))
            left_over &= ~near
        return faces

    def landmarks(self, bgr: UInt8, box: FaceBox) -> Float32:
        """468 points, float32 (468, 3): x, y in pixels of `bgr`, z in the same scale, smaller is nearer."""
        return self.place(bgr, box)[0]

    def place(self, bgr: UInt8, box: FaceBox) -> tuple[Float32, float]:
        """The points as `landmarks` gives them, and how sure the mesh is that it lies on a face (0..1)."""
        centre, side = box.centre, max(box.size) * _CROP_MARGIN
        (rx, ry), (lx, ly) = box.right_eye, box.left_eye
        angle = float(np.arctan2(ly - ry, lx - rx))
        points, presence = np.empty((POINTS, 3), np.float32), 0.0
        for _ in range(2):  # the second crop is cut by the first pass's points, which are surer than the box
            points, presence = self.mesh(bgr, centre, side, angle)
            low, high = points[:, :2].min(0), points[:, :2].max(0)
            centre = tuple(((low + high) / 2).tolist())
            side = float((high - low).max()) * _CROP_MARGIN
            dx, dy = points[LEFT_EYE_OUTER, :2] - points[RIGHT_EYE_OUTER, :2]
            angle = float(np.arctan2(dy, dx))
        return points, presence

    def mesh(self, bgr: UInt8, centre: tuple[float, float], side: float, angle: float) -> tuple[Float32, float]:
        """One pass over a square of `side` pixels about `centre`, turned by `angle` radians: as `place` gives them."""
        scale = side / _MESH_SIDE
        rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        to_picture = np.column_stack([rotation, np.asarray(centre) - rotation @ np.full(2, _MESH_SIDE / 2)])
        size = (_MESH_SIDE, _MESH_SIDE)
        crop = cv2.warpAffine(bgr, to_picture, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        self._mesh.setInput(cv2.dnn.blobFromImage(crop, 1 / 255, size, swapRB=True))
        found, logit = (np.asarray(output) for output in self._mesh.forward([_MESH_OUTPUT, _PRESENCE_OUTPUT]))
        found = found.reshape(POINTS, 3)
        points = np.column_stack([found[:, :2] @ rotation.T + to_picture[:, 2], found[:, 2] * scale])
        return points.astype(np.float32), float(1 / (1 + np.exp(-logit.reshape(-1)[0])))


def mouth_opening(points: Float32) -> float:
    """Gap between the inner lips over the distance of the outer eye corners, as lip-sync is measured."""
    gap = np.linalg.norm(points[LIP_UPPER_INNER_MID, :2] - points[LIP_LOWER_INNER_MID, :2])
    eyes = np.linalg.norm(points[RIGHT_EYE_OUTER, :2] - points[LEFT_EYE_OUTER, :2])
    return float(gap / eyes)
