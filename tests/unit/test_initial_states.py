"""The states that training starts from vary as the frames do."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head.skinning import pose_features, rotation_matrices
from pegasus_runtime.surfels.pose import StateNetwork
from trainer.data.dataset import TrainingFrame
from trainer.init.initial_states import NUM_NECK_STATES, spread_states

NUM_FRAMES = 60


def _frame(expression: np.ndarray, pose: np.ndarray) -> TrainingFrame:
    return SimpleNamespace(record=SimpleNamespace(expression=expression, pose=pose))  # type: ignore[return-value]


def _talking() -> list[TrainingFrame]:
    """Somebody who turns the head in three ways and talks with twelve expressions."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(NUM_FRAMES):
        expression, pose = np.zeros(50, np.float32), np.zeros(15, np.float32)
        expression[:12] = rng.uniform(0, 0.6, 12)
        pose[3:6] = rng.normal(0, 0.1, 3)
        pose[6] = rng.uniform(0, 0.2)
        frames.append(_frame(expression, pose))
    return frames


def _network() -> StateNetwork:
    torch.manual_seed(0)
    return StateNetwork()


def _states(network: StateNetwork, frames: list[TrainingFrame], neck_only: bool = False) -> Tensor:
    rows = []
    for frame in frames:
        expression, pose = (
            torch.from_numpy(v.copy()) for v in (frame.record.expression, frame.record.pose)
        )
        if neck_only:
            expression.zero_()
            pose[6:] = 0
        rows.append(network(expression, pose_features(rotation_matrices(pose.view(5, 3)))))
    return torch.stack(rows).detach()


def test_states_move_from_the_first_step_on() -> None:
    network, frames = _network(), _talking()
    before = _states(network, frames).std(dim=0)
    spread_states(network, frames)
    spread = _states(network, frames)
    assert before.max() < 0.1
    assert spread.std(dim=0).min() > 0.15
    assert spread.abs().max() < 2.0
    still = _states(network, [_frame(np.zeros(50, np.float32), np.zeros(15, np.float32))])
    assert still.abs().max() == 0, "the neutral face is as it is"


def test_the_neck_has_states_of_its_own_for_each_way_it_turns() -> None:
    network, frames = _network(), _talking()
    spread_states(network, frames)
    whole, turned = _states(network, frames), _states(network, frames, neck_only=True)
    torch.testing.assert_close(whole[:, :NUM_NECK_STATES], turned[:, :NUM_NECK_STATES])
    assert turned[:, NUM_NECK_STATES:].abs().max() == 0
    rank = torch.linalg.matrix_rank(turned[:, :NUM_NECK_STATES], rtol=0.1)
    assert int(rank) == NUM_NECK_STATES


def test_noise_of_a_still_face_is_no_expression() -> None:
    network, rng = _network(), np.random.default_rng(1)
    frames = [
        _frame(rng.normal(0, 1e-3, 50).astype(np.float32), np.zeros(15, np.float32))
        for _ in range(NUM_FRAMES)
    ]
    spread_states(network, frames)
    assert _states(network, frames).abs().max() < 0.2


def test_fewer_frames_than_states_leave_the_others_as_they_were() -> None:
    network, frames = _network(), _talking()[:2]
    before = network.linear.weight.detach().clone()
    spread_states(network, frames)
    assert torch.isfinite(network.linear.weight).all()
    torch.testing.assert_close(network.linear.weight[-1], before[-1])
