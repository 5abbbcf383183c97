"""People made of human assets: what is read is checked, what is drawn is exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_free_head
from pegasus_runtime.human_assets import HumanAssets, describe_human_assets, find_human_assets
from trainer.synthetic.asset_person import make_asset_person
from trainer.synthetic.attributes import ATTRIBUTES
from trainer.synthetic.casting import (
    assets_for,
    describe_cast,
    drawn_subjects,
    person_for,
    renderer_for,
)
from trainer.synthetic.config import CaptureConfig, PersonConfig
from trainer.synthetic.frame_sampling import FrameParameters, still_frame_parameters
from trainer.synthetic.garments import hang, load_garment_base, read_garment
from trainer.synthetic.gl_renderer import open_context, posed_vertices
from trainer.synthetic.people import choose_look, people_presets
from trainer.synthetic.person import Person
from trainer.synthetic.shirt import HEM, t_shirt
from trainer.synthetic.skull_radius_map import grid_faces
from trainer.synthetic.textures import garment_texture, read_texture, skin_texture

cv2 = pytest.importorskip("cv2")
SHARED = Path(__file__).resolve().parents[3] / "shared"


def write_garment(folder: Path, name: str, **changes: str) -> Path:
    """A strip of two triangles that hangs on the forehead."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "basemesh": "hm08",
        "obj_file": f"{name}.obj",
        "x_scale": "5399 11998 1.4",
        "z_scale": "962 5320 1.9",
        "y_scale": "791 881 2.3",
        "verts": "0",
    } | changes
    table = "".join(f"6951 6934 6933 0.4 0.4 0.2 {0.1 * i} 0.0 0.1\n" for i in range(3))
    facts["last"] = facts.get("last", "6942")
    last = facts.pop("last")
    head = "".join(f"{key} {value}\n" for key, value in facts.items())
    (folder / f"{name}.mhclo").write_text(f"# a strip\n{head}{table}{last}\n")
    corners = "f 1/1 2/2 3/3 4/4\n"
    (folder / f"{name}.obj").write_text(
        "v 0 0 0\n" * 4 + "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n" + changes.get("faces", corners)
    )
    return folder / f"{name}.mhclo"


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HumanAssets:
    """An asset folder with one thing of each kind, under the names that a preset asks for."""
    folder = tmp_path / "people"
    look = people_presets()["jonas"]
    grey = np.full((64, 64, 3), 128, np.uint8)
    strands = np.full((64, 64, 4), 200, np.uint8)
    strands[:, ::2, 3] = 0
    write_picture(folder / "skins" / f"{look.skin}.png", grey)
    write_picture(folder / "eyes" / f"{look.eyes}_eye.png", grey)
    for kind in ("hair", "eyebrows", "eyelashes"):
        name = getattr(look, kind)
        write_garment(folder / kind / name, name)
        write_picture(folder / kind / name / f"{name}.png", strands)
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path))
    found = find_human_assets()
    assert found is not None
    return found


@pytest.fixture
def collection(monkeypatch: pytest.MonkeyPatch) -> HumanAssets:
    if not (SHARED / "people").is_dir():
        pytest.skip("needs the human assets in ../shared/people")
    monkeypatch.setenv("PEGASUS_ASSETS", str(SHARED))
    found = find_human_assets()
    assert found is not None
    return found


def test_the_table_holds_the_head_and_what_is_beside_it() -> None:
    base, head = load_garment_base(), load_free_head()
    assert (base.rows >= 0).sum() >= head.num_vertices
    assert set(range(head.num_vertices)) <= set(base.rows.tolist())
    # The neck's border is the head's own, so that no seam opens when it turns.
    assert (base.body_faces < head.num_vertices).any()
    assert base.skinning_weights.sum(axis=1) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"basemesh": "alpha7"}, "alpha7"),
        ({"x_scale": "5399 11998 0"}, "damaged"),
        ({"x_scale": "5399 99999 1"}, "not near the free head"),
        ({"last": "15400"}, "not near the free head"),
        ({"last": "-3"}, "not near the free head"),
        ({"last": "6942 1"}, "damaged"),
        ({"last": "6951 6934 6933 nan 0 1 0 0 0"}, "damaged"),
        ({"last": "6951 6934 6933 0 0 1 99 0 0"}, "damaged"),
        ({"last": ""}, "hangs 3 vertices"),
        ({"faces": "f 1/1 2/2 9/3\n"}, "faces name corners"),
        ({"faces": "f 1/1 2/x 3/3\n"}, "damaged mesh"),
    ],
)
def test_garments_for_another_mesh_are_refused_in_one_line(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    path = write_garment(tmp_path / "strip", "strip", **changes)
    with pytest.raises(InvalidInput, match=words) as refusal:
        read_garment(path)
    assert "\n" not in str(refusal.value) and "strip" in str(refusal.value)


def test_a_garment_hangs_where_its_vertices_are_and_moves_with_them(tmp_path: Path) -> None:
    head, base = load_free_head(), load_garment_base()
    garment = read_garment(write_garment(tmp_path / "strip", "strip"))
    every = np.concatenate([head.template.numpy(), base.template])
    hung = hang(garment, head, every)
    assert hung.vertices[3] == pytest.approx(every[base.rows[6942]], abs=1e-6)
    moved = head.expression_directions.numpy()[base.rows[6942]]
    assert hung.expression_directions[3] == pytest.approx(moved, abs=1e-6)
    assert hung.skinning_weights.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("pixels", "side"),
    [
        (np.zeros((64, 64), np.uint8), 256),
        (np.zeros((300, 300, 3), np.uint8), 256),
        (np.full((512, 512, 3), 40_000, np.uint16), 512),
        (np.zeros((700, 700, 4), np.uint8), 512),
    ],
)
def test_textures_of_any_size_and_mode_come_to_one_form(
    tmp_path: Path, pixels: np.ndarray, side: int
) -> None:
    texture = read_texture(write_picture(tmp_path / "t.png", pixels))
    assert texture.shape == (side, side, 4) and texture.dtype == np.uint8


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((64, 32, 3), np.uint8), "32x64"),
        (np.zeros((4, 4, 3), np.uint8), "4x4"),
        (np.zeros((64, 64, 3), np.uint8), "no transparency"),
    ],
)
def test_textures_that_cannot_be_used_are_refused(
    tmp_path: Path, pixels: np.ndarray, words: str
) -> None:
    path = write_picture(tmp_path / "t.png", pixels)
    with pytest.raises(InvalidInput, match=words) as refusal:
        read_texture(path, with_alpha=True)
    assert "\n" not in str(refusal.value)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.png").write_bytes(b"")
    with pytest.raises(InvalidInput, match="no picture"):
        read_texture(tmp_path / "t.png")
    with pytest.raises(FileNotFoundError):
        read_texture(tmp_path / "none.png")


def test_without_assets_the_painted_person_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path))
    config = CaptureConfig(subjects=("source", "hat_fedora", "hat_cap"))
    assert assets_for(config) is None and not person_for(config, "source").batches
    assert drawn_subjects(config) == ("source", "hat_cap")
    assert "painted" in describe_cast(config) and "hat_fedora" in describe_cast(config)
    assert describe_human_assets()[0] is False
    assert "in the place of mara" in describe_cast(config_for(name="mara"))
    with pytest.raises(InvalidInput, match="no human assets were found"):
        assets_for(config_for(made_of="assets"))


def test_unknown_names_are_refused_with_the_nearest(made_up: HumanAssets) -> None:
    for changes, words in (
        ({"skin": "young_lightskined_male"}, "did you mean young_lightskinned_male"),
        ({"hair_colour": "purple"}, "no colour 'purple'"),
    ):
        with pytest.raises(InvalidInput, match=words) as refusal:
            choose_look(made_up, "jonas", 7, changes)
        assert "\n" not in str(refusal.value)
    with pytest.raises(InvalidInput, match=r"person.name = 'nobody'"):
        choose_look(made_up, "nobody", 7)
    assert "CC0" in describe_human_assets()[1]


def config_for(*subjects: str, **person: str) -> CaptureConfig:
    return CaptureConfig(
        subjects=subjects or ("source",), image_size=96, person=PersonConfig(**person)
    )


def test_a_person_is_made_of_whatever_assets_there_are(made_up: HumanAssets) -> None:
    person = person_for(config_for(name="jonas"), "source")
    kinds = [batch.material for batch in person.batches]
    assert kinds.count("card") == 3 and {"skin", "eye", "solid"} <= set(kinds)
    assert sum(batch.count for batch in person.batches) == len(person.head.faces)
    assert "assets in" in describe_cast(config_for(name="jonas"))


def test_twelve_people_are_twelve() -> None:
    people = people_presets()
    assert len(people) >= 12
    shapes = np.stack([look.identity() for look in people.values()])
    apart = np.linalg.norm(shapes[:, None] - shapes[None], axis=-1)
    assert apart[~np.eye(len(shapes), dtype=bool)].min() > 1.5
    assert len({(look.skin, look.hair, look.eyebrows) for look in people.values()}) == len(people)


@pytest.mark.slow
def test_every_preset_and_attribute_names_assets_that_are_there(collection: HumanAssets) -> None:
    for name in people_presets():
        look = choose_look(collection, name, 7)
        for kind in ("hair", "eyebrows", "eyelashes"):
            garment = read_garment(collection.find(kind, getattr(look, kind)))
            read_texture(garment_texture(garment.path), with_alpha=True)
        for attribute in ATTRIBUTES.values():
            choose_look(collection, name, 7, attribute.look)
    assert skin_texture(collection, "young_darkskinned_female").shape == (2048, 2048, 4)
    assert choose_look(collection, "", 5) == choose_look(collection, "", 5)


@pytest.fixture(scope="module")
def jonas() -> Person:
    if not (SHARED / "people").is_dir():
        pytest.skip("needs the human assets in ../shared/people")
    assets = HumanAssets(SHARED / "people")
    look = choose_look(assets, "jonas", 7)
    return make_asset_person(load_free_head(), look, "source", assets)


def part_height(person: Person, part: str, expression: str = "") -> float:
    frame = still_frame_parameters(16)
    values = frame.expression.copy()
    if expression:
        values[person.head.expression_names.index(expression)] = 1.0
    posed = posed_vertices(person, FrameParameters(values, frame.pose, frame.camera))
    faces = person.head.faces.numpy()[person.face_part == person.part_names.index(part)]
    return float(posed[np.unique(faces)][:, 1].mean())


@pytest.mark.slow
def test_brows_and_lashes_follow_the_face_and_hair_does_not(jonas: Person) -> None:
    brows = part_height(jonas, "eyebrows", "brow inner up") - part_height(jonas, "eyebrows")
    lids = part_height(jonas, "eyelids", "blink left") - part_height(jonas, "eyelids")
    hair = part_height(jonas, "hair", "brow inner up") - part_height(jonas, "hair")
    assert brows > 0.005 and lids < -0.001 and hair == 0.0


@pytest.mark.slow
def test_pictures_masks_and_parts_agree(collection: HumanAssets) -> None:
    try:
        open_context().release()
    except InvalidInput as refusal:
        pytest.skip(str(refusal))
    config = config_for("source", "hair_bob", name="jonas")
    frame = still_frame_parameters(160)
    with renderer_for(config, "hair_bob", 160) as renderer:
        drawn, again = renderer.draw(frame), renderer.draw(frame)
    names = person_for(config, "hair_bob").part_names
    assert np.array_equal(drawn.image, again.image)
    assert (drawn.image[drawn.mask == 0] == 255).all() and 0.2 < (drawn.mask == 255).mean() < 0.8
    assert set(np.unique(drawn.semantic[drawn.mask_object == 255])) == {names.index("hair")}
    assert (drawn.semantic[drawn.mask == 0] == len(names)).all()
    seen = {names[i] for i in np.unique(drawn.semantic) if i < len(names)}
    assert {"hair", "skin", "lips", "eyes", "eyebrows", "neck", "clothes"} <= seen
    eyes = drawn.semantic == names.index("eyes")
    assert eyes[:, :80].any() and eyes[:, 80:].any()  # no fringe covers one
    lengths = np.linalg.norm(drawn.normal[drawn.mask == 255] / 127.5 - 1, axis=1)
    assert np.median(np.abs(lengths - 1)) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attribute", "parts"),
    [
        ("eyes_green", {"eyes"}),
        ("eyes_narrow", {"eyes", "eyelids"}),
        ("ears_pointed", {"ears"}),
        ("mouth_thin", {"lips"}),
        ("eyebrows_thick", {"eyebrows"}),
        ("hat_fedora", {"hat"}),
        ("eyeglasses_square+hair_long", {"glasses", "hair"}),
    ],
)
def test_an_attribute_marks_what_it_replaces(
    collection: HumanAssets, attribute: str, parts: set[str]
) -> None:
    look = choose_look(collection, "jonas", 7)
    person = make_asset_person(load_free_head(), look, attribute, collection)
    marked = {person.part_names[i] for i in np.unique(person.face_part[person.face_object == 1])}
    assert marked == parts


@pytest.mark.parametrize("place", [(0.0, -0.1), (0.2, 0.1), (-0.25, -0.2)])
def test_a_bust_is_closed_below(place: tuple[float, float]) -> None:
    columns, rows = 48, 30
    angle, height = np.meshgrid(
        np.linspace(-np.pi, np.pi, columns), np.linspace(-1.0, 0.0, rows), indexing="xy"
    )
    tube = np.stack([0.4 * np.sin(angle), height, 0.4 * np.cos(angle) - 0.1], axis=-1)
    points = tube.reshape(-1, 3).astype(np.float32)
    outward = grid_faces(rows, columns)[:, ::-1]
    shirt = t_shirt(points, outward, np.ones((len(points), 1), np.float32))
    corners = shirt.vertices[shirt.faces]
    edges = corners[:, [1, 2, 0]] - corners
    to_place = np.array(place) - corners[..., [0, 2]]
    turns = edges[..., 0] * to_place[..., 1] - edges[..., 2] * to_place[..., 0]
    over = (turns > 0).all(axis=1) | (turns < 0).all(axis=1)
    hem = HEM[0] + HEM[1] * place[0] ** 2
    near = np.abs(corners[..., 1].mean(axis=1) - hem) < 0.05
    hit = over & near
    assert hit.sum() == 1
    assert np.cross(edges[hit][0, 0], edges[hit][0, 1])[1] < 0
    assert np.allclose(shirt.weights[shirt.faces[hit]], 1)
