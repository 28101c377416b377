"""Files that stand in for what cannot be shipped, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.quicktalk_files import write_files


@pytest.fixture(scope="session")
def quicktalk_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("quicktalk"))
