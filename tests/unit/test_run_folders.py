"""Run folders of every kind: with a configuration, of one person, of several, of PointAvatar."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import pegasus_runtime as pr
from app.commands.command_line import run as command
from pegasus_runtime.deform.surface import evaluate_surface, pose_surface, prepare_pose
from pegasus_runtime.head import load_free_head
from pegasus_runtime.head.canonical import make_canonical_head

State = dict[str, Tensor]
_LOCAL, _WIDTH, _DEFORMER = 15, 24, 16


@pytest.fixture(scope="module")
def flame(golden: Path) -> Path:
    return golden / "reference_a" / "flame" / "generic_model.pkl"


@pytest.fixture(scope="module")
def head(flame: Path) -> pr.Head:
    return pr.load_head(flame)


@pytest.fixture
def run(golden: Path, tmp_path: Path) -> Path:
    """The reference run where the program leaves it, without any names."""
    folder = tmp_path / "run" / "train"
    shutil.copytree(
        golden / "reference_a" / "checkpoints", folder / "checkpoints", copy_function=shutil.copy
    )
    return folder.parent


def _names(golden: Path) -> list[str]:
    facts = json.loads((golden / "reference_a" / "meta.json").read_text("utf-8"))
    return list(facts["train_sub_dirs"])


def _configuration(names: list[str]) -> str:
    return (
        "train { methodname = pegasus\n target_training = False } # the person\n"
        f"dataset {{ canonical_pose=0.4\n train\n {{\n sub_dir = [{', '.join(names)}]\n"
        " img_res = [512, 512] }\n test { sub_dir = [other] } }\n"
    )


def _change(run: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    paths = [
        run / "train" / "checkpoints" / f"{n}Parameters" / "latest.pth" for n in ("Model", "Input")
    ]
    contents = [torch.load(path, weights_only=True) for path in paths]
    change(*contents)
    for path, content in zip(paths, contents, strict=True):
        torch.save(content, path)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["train/runconf.conf", "train/20240101_1200_person.conf"])
def test_names_come_from_the_runs_configuration(
    run: Path, golden: Path, flame: Path, head: pr.Head, place: str, tmp_path: Path
) -> None:
    names = _names(golden)
    (run / place).write_text(_configuration(names), "utf-8")
    (run / "train" / "20200101_0000_before.conf").write_text(_configuration(["hair_old"]), "utf-8")
    wanted = pr.import_reference(run, head=head, meta=golden / "reference_a" / "meta.json")
    for folder in (run, run / "train", run / "train" / "checkpoints"):
        found = pr.import_reference(folder, head=head)
        assert found.attribute_names == tuple(names)
        assert torch.equal(found.codes.compose(), wanted.codes.compose())
    out = tmp_path / "a.avatar"
    assert command(["import-reference", str(run), "--head", str(flame), "--out", str(out)]) == 0
    assert out.is_file()


def test_the_persons_own_folder_among_the_rows_is_left_out(
    run: Path, golden: Path, head: pr.Head
) -> None:
    names = _names(golden)
    (run / "train" / "runconf.conf").write_text(_configuration(["Guy", *names]), "utf-8")

    def add_row(_: Any, inputs: Any) -> None:
        rows = inputs["scene_latent_codes_state_dict"]
        rows["weight"] = torch.cat([torch.zeros(1, 32), rows["weight"]])

    wanted = pr.import_reference(run, head=head, meta={"train_sub_dirs": names})
    _change(run, add_row)
    found = pr.import_reference(run, head=head)
    assert found.attribute_names == tuple(names) and found.provenance["left_out"] == ["Guy"]
    assert torch.equal(found.codes.attributes, wanted.codes.attributes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "nothing says the names"),
        ('include "x.conf"', "other files are not read"),
        ("dataset { train { sub_dir = ${names} } }", "stands for something else"),
        ("dataset { train { sub_dir = [[a]] } }", "not names"),
        ("dataset { train { sub_dir = [hair_a] } }", "fit this run"),
        ("dataset { train { sub_dir = [hair_../../x] } }", "slashes"),
        ("dataset { canonical_pose = wide }", "canonical_pose"),
        ("train { a = 1 }", "nothing says the names"),
    ],
)
def test_configurations_that_say_nothing_usable(
    run: Path, head: pr.Head, text: str | None, says: str
) -> None:
    if text is not None:
        (run / "train" / "runconf.conf").write_text(text, "utf-8")
    with pytest.raises(pr.InvalidInput, match=says) as refusal:
        pr.import_reference(run, head=head)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("spelling", ["target_scene_latent", "target_scene_latent_category"])
def test_a_run_of_one_person_needs_no_names(run: Path, head: pr.Head, spelling: str) -> None:
    def single(_: Any, inputs: Any) -> None:
        rows = inputs.pop("source_scene_latent_codes_state_dict")["weight"]
        inputs.pop("scene_latent_codes_state_dict")
        weight = torch.cat([rows, rows[:1]])
        inputs[f"{spelling}_codes_state_dict"] = {"weight": weight}

    _change(run, single)
    found = pr.import_reference(run, head=head)
    assert found.attribute_names == () and not found.moves_points
    assert found.codes.source_categories[-1] == "eyeglasses"


def test_several_sources_bring_their_own_names(run: Path, head: pr.Head) -> None:
    codes = {"Ann": torch.randn(7, 32), "Bo_cap": torch.randn(8, 32)}

    def several(_: Any, inputs: Any) -> None:
        inputs.pop("scene_latent_codes_state_dict")
        for name, weight in codes.items():
            hat = "with" if len(weight) == 8 else "without"
            key = f"multi_source_{hat}_hat_scene_latent_codes_{name}_state_dict"
            inputs[key] = {"module.weight": weight}

    _change(run, several)
    found = pr.import_reference(run, head=head)
    assert len(found.attribute_names) == 15
    assert "hat_Bo_cap" in found.attribute_names and "hat_Ann" not in found.attribute_names
    hat = found.codes.attributes[found.attribute_names.index("hat_Bo_cap")]
    assert torch.equal(hat, codes["Bo_cap"][5])
    mouth = found.codes.attributes[found.attribute_names.index("mouth_Ann")]
    assert torch.equal(mouth, codes["Ann"][5])


def test_without_latest_the_highest_epoch_counts(run: Path, golden: Path, head: pr.Head) -> None:
    for kind in ("Model", "Input"):
        folder = run / "train" / "checkpoints" / f"{kind}Parameters"
        (folder / "latest.pth").rename(folder / "10.pth")
        (folder / "9.pth").write_bytes(b"older")
    (run / "train" / "runconf.conf").write_text(_configuration(_names(golden)), "utf-8")
    assert pr.import_reference(run, head=head).num_points > 0


def _linear(state: State, name: str, rows: int, columns: int, normed: bool = True) -> None:
    weight = torch.randn(rows, columns) / columns**0.5
    if normed:
        state[f"{name}.weight_v"] = weight
        state[f"{name}.weight_g"] = torch.rand(rows, 1) + 0.5
    else:
        state[f"{name}.weight"] = weight
    state[f"{name}.bias"] = 0.1 * torch.randn(rows)


def _weight(state: State, name: str) -> Tensor:
    if f"{name}.weight" in state:
        return state[f"{name}.weight"]
    v = state[f"{name}.weight_v"]
    return v * (state[f"{name}.weight_g"] / v.norm(dim=1, keepdim=True))


def _apply(state: State, name: str, values: Tensor) -> Tensor:
    return values @ _weight(state, name).T + state[f"{name}.bias"]


def point_avatar_run(folder: Path, shape: Tensor, bones: int = 6) -> State:
    """A run of PointAvatar's with random networks, on the free head of that shape."""
    torch.manual_seed(3)
    head, state = load_free_head(), State()
    state["pc.points"] = head.template[::40].clone()
    geometry = [(_WIDTH, _LOCAL), (_WIDTH - _LOCAL, _WIDTH), (_WIDTH, _WIDTH), (4, _WIDTH)]
    for index, size in enumerate(geometry):
        _linear(state, f"geometry_network.lin{index}", *size)
    for index, size in enumerate([(_DEFORMER, 3), (_DEFORMER, _DEFORMER)]):
        _linear(state, f"deformer_network.lin{index}", *size)
    _linear(state, "deformer_network.skinning_linear", _DEFORMER, _DEFORMER)
    _linear(state, "deformer_network.skinning", bones, _DEFORMER, normed=False)
    _linear(state, "deformer_network.blendshapes", 261, _DEFORMER, normed=False)
    state["deformer_network.blendshapes.weight"] *= 0.02
    for index, size in enumerate([(8, 3), (8, 8), (3, 8)]):
        _linear(state, f"rendering_network.lin{index}", *size)
    state["FLAMEServer.v_template"] = head.template + head.identity_directions @ shape
    state["FLAMEServer.lbs_weights"] = head.skinning_weights
    state["background"] = torch.zeros(4, 3)
    for kind in ("Model", "Input"):
        (folder / "checkpoints" / f"{kind}Parameters").mkdir(parents=True)
    model = {"epoch": 3, "radius": 0.05, "model_state_dict": state}
    torch.save(model, folder / "checkpoints" / "ModelParameters" / "latest.pth")
    expressions = {"weight": 0.2 * torch.randn(6, 50)}
    torch.save(
        {"epoch": 3, "expression_state_dict": expressions},
        folder / "checkpoints" / "InputParameters" / "latest.pth",
    )
    return state


@pytest.mark.parametrize("bones", [5, 6])
def test_point_avatars_compute_what_they_did(tmp_path: Path, bones: int) -> None:
    shape = torch.zeros(100)
    shape[:4] = torch.tensor([0.8, -1.2, 0.5, 0.3])
    state = point_avatar_run(tmp_path, shape, bones)
    head = load_free_head()
    avatar = pr.import_reference(tmp_path, head=head)
    assert torch.allclose(avatar.shape, shape, atol=1e-3)
    networks = avatar.networks.condition(avatar.codes.compose())
    points = state["pc.points"]
    softplus = torch.nn.Softplus(beta=100)
    waves = [w for k in range(2) for w in (torch.sin(2**k * points), torch.cos(2**k * points))]
    local = torch.cat([points, *waves], dim=1)
    values = softplus(_apply(state, "geometry_network.lin0", local))
    values = softplus(_apply(state, "geometry_network.lin1", values))
    values = torch.cat([values, local], dim=1) / math.sqrt(2)
    values = softplus(_apply(state, "geometry_network.lin2", values))
    wanted = _apply(state, "geometry_network.lin3", values)
    found = networks.geometry(points)
    assert torch.allclose(found.sdf, wanted[:, 0], atol=1e-5)
    assert torch.allclose(found.albedo, torch.sigmoid(10 * wanted[:, 1:]), atol=1e-4)
    assert bool((found.segmentation < 0).all())
    hidden = softplus(_apply(state, "deformer_network.lin0", points))
    hidden = softplus(_apply(state, "deformer_network.lin1", hidden))
    skinning = softplus(_apply(state, "deformer_network.skinning_linear", hidden))
    weights = (20 * _apply(state, "deformer_network.skinning", skinning)).softmax(dim=1)
    assert torch.allclose(networks.deformer(points).skinning[:, -bones:], weights, atol=1e-5)
    offset = _apply(state, "deformer_network.blendshapes", hidden)[:, -3:]
    # In the canonical pose a point is where it lies on the person's own canonical head.
    canonical = make_canonical_head(
        head, avatar.canonical_expression, avatar.canonical_jaw_rad, avatar.canonical_shape
    )
    surface = evaluate_surface(networks, canonical, points, appearance=False, move=False)
    assert torch.allclose(surface.points, points + offset, atol=1e-5)
    pose = torch.zeros(15)
    pose[6] = avatar.canonical_jaw_rad
    prepared = prepare_pose(head, canonical, avatar.canonical_expression, pose, avatar.shape)
    blend = avatar.networks.deformer.blend_map(prepared.expression_change, prepared.feature_change)
    posed = pose_surface(blend, canonical, surface, prepared)
    assert torch.allclose(posed.points, points + offset, atol=1e-4)
    avatar.save(tmp_path / "a.avatar")
    again = pr.load_avatar(tmp_path / "a.avatar")
    assert torch.allclose(again.canonical_shape, shape, atol=1e-3)
    session = pr.Session(again, "cpu", exact=True)
    picture = session.render(again.neutral(), again.default_camera((32, 32)))["rgb"]
    assert picture.min() < 0.9


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        (["deformer_network.skinning.weight"], "lacks deformer_network.skinning;"),
        (
            ["rendering_network.lin0.bias", "FLAMEServer.v_template"],
            "lacks rendering_network.lin0, FLAMEServer.v_template;",
        ),
        (["expressions"], "lacks the mean expression"),
    ],
)
def test_what_a_point_avatar_lacks_is_listed(tmp_path: Path, gone: list[str], says: str) -> None:
    state = point_avatar_run(tmp_path, torch.zeros(100))
    model = tmp_path / "checkpoints" / "ModelParameters" / "latest.pth"
    kept = {name: value for name, value in state.items() if name not in gone}
    torch.save({"epoch": 1, "radius": 0.05, "model_state_dict": kept}, model)
    if gone == ["expressions"]:
        shutil.rmtree(tmp_path / "checkpoints" / "InputParameters")
    with pytest.raises(pr.InvalidInput, match=says) as refusal:
        pr.import_reference(tmp_path, head=load_free_head())
    assert str(refusal.value).isprintable()
    if gone == ["expressions"]:
        meta = {"canonical_expression": [0.0] * 50}
        assert pr.import_reference(tmp_path, head=load_free_head(), meta=meta).num_points > 0
        (tmp_path / "runconf.conf").write_text("dataset { use_mean_expression = False }")
        assert pr.import_reference(tmp_path, head=load_free_head()).num_points > 0


def test_a_point_avatar_on_another_head_is_refused(tmp_path: Path) -> None:
    point_avatar_run(tmp_path, torch.zeros(100))
    head = load_free_head()
    other = replace(head, template=head.template + 0.05 * torch.randn_like(head.template))
    with pytest.raises(pr.InvalidInput, match="trained with another head"):
        pr.import_reference(tmp_path, head=other)
