"""The drawn character."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.studio.cartoon import draw


def test_the_packaged_drawing_is_what_the_script_draws() -> None:
    packaged = cv2.imread(str(PACKAGED / "drawn" / "reference.png"))
    assert packaged is not None
    assert np.abs(packaged.astype(int) - draw()).mean() < 0.5  # blurs differ in the last bit between processors
