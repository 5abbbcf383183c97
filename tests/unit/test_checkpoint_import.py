"""Runs of the research program, as others saved them, and with odd things in them."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pegasus_runtime as pr

Content = dict[str, Any]
Change = Callable[[Content, Content], Any]
_POINTS = "pc.points"


@pytest.fixture(scope="module")
def head(golden: Path) -> pr.Head:
    return pr.load_head(golden / "reference_a" / "flame" / "generic_model.pkl")


class _Run:
    """A copy of the reference run whose files can be changed."""

    def __init__(self, folder: Path, golden: Path, head: pr.Head) -> None:
        self.folder, self.head = folder, head
        self.meta = golden / "reference_a" / "meta.json"
        shutil.copytree(golden / "reference_a" / "checkpoints", folder, copy_function=shutil.copy)
        self.model, self.inputs = (
            folder / f"{n}Parameters" / "latest.pth" for n in ("Model", "Input")
        )

    def change(self, change: Change, **saving: Any) -> None:
        model, inputs = (torch.load(p, weights_only=True) for p in (self.model, self.inputs))
        change(model, inputs)
        for path, content in ((self.model, model), (self.inputs, inputs)):
            path.unlink()
            torch.save(content, path, **saving)

    def load(self) -> pr.Avatar:
        return pr.import_reference(self.folder, head=self.head, meta=self.meta)


@pytest.fixture
def run(golden: Path, tmp_path: Path, head: pr.Head) -> _Run:
    return _Run(tmp_path / "run", golden, head)


def _wrapped(wrapper: str) -> Change:
    def change(model: Content, inputs: Content) -> None:
        for content in (model, inputs):
            for name, state in content.items():
                if name.endswith("state_dict"):
                    content[name] = OrderedDict((wrapper + k, v) for k, v in state.items())

    return change


def _numbers(kind: Callable[[Any], Any]) -> Change:
    return lambda model, _: model.update(radius=kind(model["radius"]), epoch=np.int64(3))


def _halves(model: Content, _: Content) -> None:
    state = model["model_state_dict"]
    model["model_state_dict"] = {
        k: v.half() if v.is_floating_point() else v for k, v in state.items()
    }


@pytest.mark.parametrize("saving", [{}, {"_use_new_zipfile_serialization": False}])
@pytest.mark.parametrize(
    "change",
    [
        lambda *_: None,
        _wrapped("module."),
        _wrapped("_orig_mod."),
        _numbers(np.float64),
        _numbers(np.float32),
        _numbers(torch.tensor),
        _numbers(lambda r: np.array(r)[()]),
        _halves,
        lambda model, _: model.update(optimizer={"state": {0: torch.zeros(3)}, "lr": 1e-3}),
    ],
)
def test_runs_that_others_saved_are_imported(run: _Run, change: Change, saving: Any) -> None:
    wanted = run.load()
    run.change(change, **saving)
    found = run.load()
    assert found.radius == pytest.approx(wanted.radius)
    assert torch.allclose(found.points, wanted.points, atol=1e-3)
    code = found.codes.compose()
    assert torch.equal(code, wanted.codes.compose())


def _state(**values: Any) -> Change:
    return lambda model, _: model["model_state_dict"].update(values)


def _points(value: Any) -> Change:
    return _state(**{_POINTS: value})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_points(torch.zeros(1).expand(1 << 40, 3)), "more than it holds"),
        (_points(torch.zeros(4, 3).to_sparse()), "sparse"),
        (_points(torch.zeros(4, 3, device="meta")), "damaged|holds no numbers"),
        (_points(torch.zeros(4, 3, dtype=torch.complex64)), "complex"),
        (_points(torch.tensor(3.0)), "pc.points is of shape"),
        (_points(torch.full((4, 3), 1e30)), "points"),
        (_points(torch.full((4, 3), float("nan"))), "NaN"),
        (_points([1, 2, 3]), "pc.points"),
        (_state(**{"geometry_network.lin0.weight_v": torch.tensor(1.0)}), "not a checkpoint"),
        (_state(**{"geometry_network.lin0.weight_v": torch.zeros(1).expand(4096, 9999)}), "holds"),
        (_state(**{"deformer_network.lin0.weight_v": torch.zeros(4096, 2)}), "not a checkpoint"),
        (_state(**{"rendering_network.lin1.weight_v": torch.zeros(0, 0)}), "not a checkpoint"),
        (_state(**{"geometry_network.lin0.bias": torch.full((64,), 3e38)}), "not|makes no sense"),
        (_state(**{"deformer_network.FLAMEServer.canonical_exp": torch.zeros(1, 100)}), "50"),
        (lambda model, _: model.update(radius="wide"), "radius 'wide'"),
        (lambda model, _: model.update(radius=np.float64("nan")), "radius"),
        (lambda model, _: model.update(radius=10**400), "radius|a number of"),
        (lambda model, _: model.update(radius=torch.zeros(3)), "radius"),
        (lambda model, _: model.pop("radius"), "radius"),
        (lambda model, _: model.pop("model_state_dict"), "model_state_dict"),
        (lambda model, _: model.update(model_state_dict={3: torch.zeros(1)}), "model_state_dict"),
        (lambda model, _: model.update(extra=Path("x")), "more than plain"),
        (lambda model, _: model.update(extra={1, 2}), "not opened|damaged"),
        (lambda model, _: model.update(extra={(1, 2): 3}), "not opened"),
        (lambda _, inputs: inputs.update(zero_latent_codes_state_dict=3), "zero_latent"),
        (lambda _, inputs: inputs["zero_latent_codes_state_dict"].clear(), "found nothing"),
    ],
)
def test_odd_tensors_and_values_are_refused_in_one_line(
    run: _Run, change: Change, says: str
) -> None:
    run.change(change)
    with pytest.raises(pr.InvalidInput, match=says) as refusal:
        run.load()
    message = str(refusal.value)
    assert message.isprintable() and str(run.folder) in message and len(message) < 500


def _deep_key(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}(N" + b"2\x86" * 200 + b"K\x01u.")


def _packed(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def _promised(path: Path) -> None:
    torch.save({"a": torch.zeros(4096)}, path, _use_new_zipfile_serialization=False)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"M\x00\x10", b"J\x00\x00\x00\x7f"))


def _trusting(path: Path) -> None:
    path.write_bytes(b"\x80\x02cos\nsystem\n(S'touch OWNED'\ntR.")


@pytest.mark.parametrize(
    "damage",
    [
        _deep_key,
        _packed,
        _promised,
        _trusting,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:3000]),
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
        lambda path: path.write_bytes(json.dumps({"a": 1}).encode()),
        lambda path: torch.save([1, 2], path),
    ],
)
def test_files_that_are_no_checkpoint(
    run: _Run, damage: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.folder)
    damage(run.model)
    with pytest.raises(pr.InvalidInput) as refusal:
        run.load()
    assert str(refusal.value).isprintable() and not (run.folder / "OWNED").exists()


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        ({}, "train_sub_dirs"),
        ({"train_sub_dirs": "hair"}, "train_sub_dirs"),
        ({"train_sub_dirs": ["hair_/etc/x"]}, "slashes"),
        ({"train_sub_dirs": [3]}, "text"),
        ({"train_sub_dirs": ["hair_a"]}, "fit this run"),
        ({"points_per_pixel": "many"}, "points_per_pixel"),
        ({"canonical_jaw_pose": float("nan")}, "canonical_jaw_pose"),
        ({"categories": 3}, "list of names"),
    ],
)
def test_meta_that_makes_no_sense(run: _Run, meta: Any, says: str, tmp_path: Path) -> None:
    whole = json.loads(run.meta.read_text())
    run.meta = meta if "train_sub_dirs" in meta or not meta else {**whole, **meta}
    with pytest.raises(pr.InvalidInput, match=says):
        run.load()
    run.meta = tmp_path / "meta.json"
    run.meta.write_text(json.dumps(whole), encoding="utf-8-sig")
    assert run.load().num_points > 0


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("template", lambda t: t * 1.06, "v_template differs by"),
        ("template", lambda t: t + torch.tensor([0.0, 0.01, 0.0]), "v_template differs by"),
        ("faces", lambda f: f.flip(0), "faces_tensor names other triangles"),
        ("skinning_weights", lambda w: w.roll(1, 1), "lbs_weights differs"),
        ("expression_directions", lambda e: e.flip(2), "shapedirs differs"),
        ("pose_directions", lambda p: -p, "posedirs differs"),
    ],
)
def test_another_head_than_the_runs_is_refused(
    run: _Run, part: str, change: Callable[[torch.Tensor], torch.Tensor], says: str
) -> None:
    run.head = replace(run.head, **{part: change(getattr(run.head, part))})
    with pytest.raises(pr.InvalidInput, match=says):
        run.load()


def test_a_head_of_another_mesh_is_told_by_its_vertices(run: _Run) -> None:
    run.head = pr.load_free_head()
    with pytest.raises(pr.InvalidInput, match=r"v_template is of shape \(162, 3\) there and \(4"):
        run.load()
