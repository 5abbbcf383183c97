"""Pictures drawn on two threads at once, as a film is beside the live view."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import published_avatar

_PROGRAM = """
import sys, threading
import numba, numpy as np
import pegasus_runtime as pr

avatar = pr.load_avatar(sys.argv[1])
camera = avatar.default_camera((48, 48))

def draw(into):
    session, params = pr.Session(avatar, "cpu"), avatar.neutral()
    for number in range(30):
        params.pose[6] = 0.01 * number
        into.append(session.render(params, camera)["rgb"])

alone, beside = [], [[], []]
draw(alone)
threads = [threading.Thread(target=draw, args=(into,)) for into in beside]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert numba.threading_layer() == "workqueue"
for drawn in beside:
    assert np.array_equal(drawn, alone)
"""


@pytest.mark.slow
def test_two_threads_draw_at_once_with_the_plain_pool(tmp_path: Path) -> None:
    """Without OpenMP numba has no other pool, and this one ends a program that enters it twice."""
    published_avatar(every=1).save(tmp_path / "small.avatar")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path / "small.avatar")],
        env=os.environ | {"NUMBA_THREADING_LAYER": "workqueue"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


_LOOK = """
import torch
from pegasus_runtime.camera import Camera
from pegasus_runtime.devices import use_threads
use_threads(1)
Camera.orbit((0, 0, 0), 5.0).project(torch.zeros(100, 3))
print(torch.get_num_threads())
"""


@pytest.mark.slow
def test_a_compiled_loop_does_not_give_torch_the_cores_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOOK], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == ["1"]
