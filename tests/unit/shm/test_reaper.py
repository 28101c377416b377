"""What a crash leaves in shared memory is found and removed; what lives is left alone."""

import subprocess
import sys

import pytest

from shm import NodeFolder, Producer, RingSpec, reap_nodes

WORKER = """
import pathlib, sys
from shm import NodeFolder
NodeFolder(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_session_folder_is_listed_and_removed_with_all_in_it(tmp_path):
    node = NodeFolder(tmp_path / "opentalking-a")
    Producer(node.session("sess_1") / "pcm", RingSpec(2, 10))
    assert node.session_folders() == ["sess_1"]
    node.remove_session("sess_1")
    node.remove_session("sess_1")
    assert node.session_folders() == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".alive"])
def test_a_session_id_cannot_leave_its_folder(tmp_path, name):
    with pytest.raises(ValueError, match="not a session id"):
        NodeFolder(tmp_path / "opentalking-a").session(name)


def test_a_node_is_reaped_only_when_its_last_worker_is_gone(tmp_path):
    root = tmp_path / "opentalking-b"
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    worker.stdout.readline()
    assert reap_nodes(tmp_path, "opentalking-") == []
    worker.kill()
    worker.communicate(timeout=10)
    assert reap_nodes(tmp_path, "opentalking-") == [root]
    assert not root.exists()
