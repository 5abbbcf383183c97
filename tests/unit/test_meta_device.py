"""Training and drawing on a device that is not the host: nothing mixes the two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime import session
from pegasus_runtime.head import load_free_head
from pegasus_runtime.passes import PASSES
from tests.factories import SIDE, published_avatar, write_small_capture
from tests.meta_device import ELSEWHERE, elsewhere
from trainer.config.training import (
    DataConfig,
    LossConfig,
    ModelConfig,
    PointConfig,
    TrainingConfig,
)
from trainer.data.dataset import load_capture
from trainer.engine.distributed import ProcessGroup
from trainer.engine.train import train


@pytest.mark.parametrize(
    "model", [{}, {"kind": "published"}, {"kind": "published", "moves_points": False}]
)
@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter:UserWarning")
@pytest.mark.slow
def test_a_whole_training_keeps_to_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any]
) -> None:
    folder = write_small_capture(tmp_path / "capture", {"source": 4, "hair_a": 3})
    small = {"geometry_width": 16, "geometry_depth": 2, "deformer_width": 16, "shading_width": 8}
    config = TrainingConfig(
        steps=6,
        checkpoint_every=3,
        preview_every=3,
        threads=1,
        data=DataConfig(folder=str(folder), image_size=SIDE, held_out_every=3),
        model=ModelConfig(**small, **model),
        points=PointConfig(initial=300, maximum=700, grow_every=4, initial_radius=0.1),
        losses=LossConfig(normals_every=2),
    )
    (tmp_path / "previews").mkdir()
    with elsewhere(monkeypatch):
        avatar = train(
            config,
            load_capture(config.data),
            load_free_head(),
            tmp_path,
            group=ProcessGroup(ELSEWHERE),
        )
    assert (tmp_path / "previews" / "step-00000006.png").exists()
    assert avatar.rest_points.device.type == "cpu"


@pytest.mark.slow
@pytest.mark.parametrize("exact", [False, True])
def test_drags_keep_to_their_device(monkeypatch: pytest.MonkeyPatch, exact: bool) -> None:
    avatar = published_avatar(["hair_a"], every=1)
    avatar.store = torch.tensor([[-0.1] * 3, [0.1] * 3])
    params, camera = avatar.neutral(), avatar.default_camera((20, 30))
    monkeypatch.setattr(session, "choose_device", lambda _name: ELSEWHERE)
    with elsewhere(monkeypatch):
        drawn = pr.Session(avatar, "another", exact=exact)
        for attributes in ({}, {"hair": "a"}):
            params.attributes.update(attributes)
            for change in (params.expression, params.pose, params.shape):
                change[0] += 0.5
                frame = drawn.render(params, camera, PASSES)
            frame = drawn.render(params, camera, max_points=1000)
        assert frame.tensor("rgb").device == ELSEWHERE
        assert frame.points.shape[1] == 3
