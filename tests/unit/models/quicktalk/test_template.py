"""A video's frames are played to and fro, each with its own face."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars import AvatarError
from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.landmarks import FaceFinder
from opentalking.models.quicktalk.adapter import QuickTalkAdapter
from opentalking.models.quicktalk.template import frame_of_pose
from opentalking.types import i420_shape

FRAMES = 6


@pytest.fixture
def filmed(tmp_path: Path) -> Path:
    """The presenter, who moves two pixels to the right from frame to frame, filmed at half the manifest's size."""
    path = tmp_path / "presenter"
    shutil.copytree(PACKAGED / "presenter", path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["metadata"]["reference_mode"] = "frames"
    (path / "manifest.json").write_text(json.dumps(manifest))
    picture = cv2.resize(cv2.imread(str(path / "reference.png")), (256, 256), interpolation=cv2.INTER_AREA)
    finder, points = FaceFinder(), []
    (path / "frames").mkdir()
    for number in range(FRAMES):
        moved = np.asarray(np.roll(picture, 2 * number, axis=1), np.uint8)
        cv2.imwrite(str(path / "frames" / f"frame_{number:05d}.jpg"), moved)
        box = finder.detect(moved)
        assert box is not None
        points.append(finder.landmarks(moved, box))
    np.savez(path / "frames" / "landmarks.npz", points=np.array(points))
    return path


def test_poses_go_to_and_fro_and_no_frame_is_shown_twice_running() -> None:
    assert [frame_of_pose(pose, 4) for pose in range(8)] == [0, 1, 2, 3, 2, 1, 0, 1]
    assert {frame_of_pose(pose, 1) for pose in range(5)} == {0}


def test_each_pose_is_spoken_on_its_own_frame(adapter: QuickTalkAdapter, filmed: Path) -> None:
    avatar = adapter.load_avatar(filmed)
    assert avatar.idle_frames == 2 * FRAMES - 2
    assert avatar.crop(4).patch.box[0] - avatar.crop(1).patch.box[0] == pytest.approx(12, abs=4)
    assert avatar.crop(FRAMES) is avatar.crop(FRAMES - 2)
    shown = np.empty((2, *i420_shape(512, 512)), np.uint8)
    for pose, out in ((0, shown[0]), (avatar.idle_frames - 1, shown[1])):
        adapter.idle_frame(avatar, pose, out)
    assert np.abs(np.roll(shown[0][:512], 4, axis=1).astype(int) - shown[1][:512])[100:400, 100:400].mean() < 2


def test_what_is_wrong_with_a_bundle_of_frames_is_named(adapter: QuickTalkAdapter, filmed: Path) -> None:
    (filmed / "frames" / "frame_00002.jpg").write_bytes(b"no picture")
    with pytest.raises(AvatarError, match=r"presenter/frames/frame_00002\.jpg: not a picture"):
        adapter.load_avatar(filmed)
    (filmed / "frames" / "frame_00002.jpg").unlink()
    with pytest.raises(AvatarError, match=r"landmarks\.npz: points of \(6, 468, 3\), not \(5, 468, 3\)"):
        adapter.load_avatar(filmed)
    (filmed / "frames" / "landmarks.npz").unlink()
    with pytest.raises(AvatarError, match=r"presenter/frames/landmarks\.npz: .*No such file"):
        adapter.load_avatar(filmed)
    for frame in (filmed / "frames").glob("*.jpg"):
        frame.unlink()
    with pytest.raises(AvatarError, match="presenter/frames: 0 frames; from 2 to 500 are needed"):
        adapter.load_avatar(filmed)


def test_a_picture_without_a_face_is_refused(adapter: QuickTalkAdapter, tmp_path: Path) -> None:
    path = tmp_path / "presenter"
    shutil.copytree(PACKAGED / "presenter", path)
    cv2.imwrite(str(path / "reference.png"), np.full((512, 512, 3), 127, np.uint8))
    with pytest.raises(AvatarError, match=r"presenter/reference\.png: no face found"):
        adapter.load_avatar(path)
