"""A deformer learns from the head how faces move."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pegasus_runtime.avatar.deformer import Deformer
from pegasus_runtime.avatar.sizes import NetworkSizes
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.head import Head, load_free_head
from tests.fake_capture import SIDE, write_fake_capture
from trainer.config.schema import DataConfig
from trainer.data.dataset import Capture, load_capture
from trainer.stages.head_motion import HeadMotion, usual_coefficients
from trainer.stages.head_samples import by_part

WIDTH = 24


@pytest.fixture(scope="module")
def head() -> Head:
    return load_free_head()


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    root = write_fake_capture(tmp_path_factory.mktemp("capture"), {"source": 6})
    return load_capture(DataConfig(folder=str(root), image_size=SIDE, held_out_every=3))


@pytest.fixture(scope="module")
def canonical(head: Head, capture: Capture) -> CanonicalHead:
    return make_canonical_head(head, capture.mean_expression)


def _error(deformer: Deformer, hidden: Tensor, head: Head) -> float:
    """Share of the directions' energy that the deformer does not say."""
    pose, expression = deformer.directions(hidden)
    wrong = (pose.transpose(1, 2) - head.pose_directions).square().sum()
    wrong = wrong + (expression - head.expression_directions).square().sum()
    whole = head.pose_directions.square().sum() + head.expression_directions.square().sum()
    return float(wrong / whole)


def test_what_is_written_is_the_best_that_the_hidden_layer_allows(
    head: Head, canonical: CanonicalHead, capture: Capture
) -> None:
    torch.manual_seed(0)
    sizes = NetworkSizes(deformer_width=WIDTH, deformer_depth=2, latent_size=4)
    deformer = Deformer(sizes).requires_grad_(False)
    hidden = deformer.at(torch.zeros(4)).hidden(canonical.vertices)
    motion = HeadMotion(head, canonical, capture, WIDTH)
    untrained = _error(deformer, hidden, head)
    motion.write(deformer, hidden, torch.arange(len(hidden)))
    best = _error(deformer, hidden, head)
    assert untrained > 100 and best < 0.8
    deformer.blendshapes.weight[5] += 1e-3
    assert _error(deformer, hidden, head) > best


@torch.no_grad()
def test_exact_motion_has_no_loss(head: Head, canonical: CanonicalHead, capture: Capture) -> None:
    """Hidden units that are the directions themselves, each at its own size."""
    rows = head.pose_directions.transpose(1, 2).flatten(1)
    rows = torch.cat([rows, head.expression_directions.flatten(1)], dim=1)
    motion = HeadMotion(head, canonical, capture, rows.shape[1])
    hidden = rows / motion.size
    vertices = torch.arange(len(rows))[::7]
    skinning = torch.nn.functional.pad(head.skinning_weights, (1, 0)).clamp_max(1)
    still = motion.loss(hidden[vertices], skinning[vertices], vertices)
    motion.linear.weight.copy_(torch.eye(rows.shape[1]))
    moving = motion.loss(hidden[vertices], skinning[vertices], vertices)
    # What is left is the entropy of the skinning weights themselves.
    assert float(still - moving) == pytest.approx(1, abs=0.2)
    swapped = skinning[:, [0, 1, 3, 2, 4, 5]]
    assert float(motion.loss(hidden[vertices], swapped[vertices], vertices)) > float(moving) + 1


def test_coefficients_that_no_frame_moves_still_count(
    head: Head, canonical: CanonicalHead, capture: Capture
) -> None:
    reach = usual_coefficients(head, canonical, capture)
    assert reach.shape == (108 + 150,) and bool((reach[:108] >= 0.02).all())
    assert bool((reach[108:] >= 0.1).all())


def test_points_are_found_part_by_part(head: Head) -> None:
    vertices = torch.arange(len(head.part_labels))
    among = vertices[::2]
    lips, nose = by_part(head, vertices, among, ("nose", "lips", "no such part"))
    for found, name in ((lips, "lips"), (nose, "nose")):
        assert len(found) and bool(torch.isin(found, among).all())
        assert bool((head.part_labels[found] == head.part_names.index(name)).all())
