"""Parts of one person on another: what is drawn, what a frame keeps, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.attributes import rest_surfels
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import triangle_parts
from pegasus_runtime.surfels.surfels import concatenate
from tests.factories import surfel_avatar
from tests.unit.test_database_people import write_person
from trainer.data.capture_folder import FrameRecord
from trainer.data.images import Pictures
from trainer.database.bare_skin import parts_of, skin_colours, skin_underlay
from trainer.database.composite import BACKGROUND, compose
from trainer.database.lent_part import SourcePerson, lend
from trainer.database.people import Person, find_source
from trainer.database.plan import SynthesisSettings, plan_of, plan_synthesis
from trainer.database.sheet import SHEET_NAME, write_sheet
from trainer.database.truth import compare_with_truth, score, table
from trainer.synthetic.capture import SETTINGS_FILE, capture
from trainer.synthetic.config import CaptureConfig, PersonConfig

SIDE = 96
NAMES = (*PART_NAMES, BACKGROUND)
SKIN, RED = (0.8, 0.6, 0.5), (0.95, 0.05, 0.05)


def avatar_of(worn: str = "", count: int = 6000) -> SurfelAvatar:
    """A person of even skin; a hat or hair is red and stands off the scalp."""
    avatar = surfel_avatar((), count)
    head, source = avatar.head, avatar.wardrobe.source
    part = triangle_parts(head)[source.triangle]
    skin = replace(
        source,
        part=part,
        colour=torch.logit(torch.tensor(SKIN)).expand(len(source), 3).contiguous(),
        offset=source.offset * 0,
        offset_states=source.offset_states * 0,
        colour_states=source.colour_states * 0,
        opacity_states=source.opacity_states * 0,
    )
    everything = skin
    if worn:
        scalp = skin.chosen(parts_of(skin, "scalp").nonzero()[:, 0])
        hair = replace(
            scalp,
            part=torch.full((len(scalp),), PART_NAMES.index(worn), dtype=torch.uint8),
            colour=torch.logit(torch.tensor(RED)).expand(len(scalp), 3).contiguous(),
            offset=torch.tensor([0.0, 0.0, 0.06]).expand(len(scalp), 3).contiguous(),
        )
        everything = concatenate([skin, hair])
    torch.nn.init.zeros_(avatar.light.layers[-1].weight)
    avatar.wardrobe = replace(avatar.wardrobe, source=everything)
    return avatar


def frame_from(yaw_deg: float) -> tuple[FrameRecord, Pictures]:
    """A frame of an even grey, all of it the person's."""
    camera = Camera.orbit((0, 0, 0), 4.3, yaw_deg=yaw_deg, fov_deg=19.0, image_size=(SIDE, SIDE))
    zeros = np.zeros(50, np.float32), np.zeros(15, np.float32)
    grey = np.full((SIDE, SIDE, 3), 120, np.uint8)
    full = np.full((SIDE, SIDE), 255, np.uint8)
    parts = np.full((SIDE, SIDE), NAMES.index("clothes"), np.uint8)
    return FrameRecord("source", "1", *zeros, camera, {}), Pictures(grey, full, None, None, parts)


@pytest.mark.parametrize("category, worn", [("hair", "hair"), ("hat", "hat"), ("nose", "")])
def test_a_part_is_seen_and_the_frame_stays_elsewhere(category: str, worn: str) -> None:
    source, person = avatar_of(), avatar_of(worn)
    lent = lend(SourcePerson.of(source), person, category)
    frame, pictures = frame_from(20.0)
    made = compose(lent, source, frame, pictures, NAMES)
    seen = made.mask_object > 200
    assert 0.002 < seen.mean() < 0.5
    assert (made.mask[seen] > 200).all()
    label = {"hair": "hair", "hat": "hat", "nose": "nose"}[category]
    assert (made.semantic[seen] == NAMES.index(label)).mean() > 0.9
    if worn:
        assert made.image[seen][:, 0].mean() > 200 and made.image[seen][:, 1].mean() < 60
    # A corner that neither the part nor the skin under it reaches.
    np.testing.assert_array_equal(made.image[-8:, :8], pictures.image[-8:, :8])
    np.testing.assert_array_equal(made.semantic[-8:, :8], pictures.parts[-8:, :8])  # type: ignore[index]


def test_hair_is_as_large_as_the_head_that_gets_it() -> None:
    source, person = avatar_of(), avatar_of("hair")
    source.wardrobe = replace(source.wardrobe, rest_corners=source.wardrobe.rest_corners * 1.2)
    source.head = replace(source.head, template=source.head.template * 1.2)
    after = lend(SourcePerson.of(source), person, "hair").after[-1].surfels
    lent, _ = rest_surfels(after, source.wardrobe.rest_corners)
    hair = person.wardrobe.source.chosen(parts_of(person.wardrobe.source, "hair").nonzero()[:, 0])
    theirs, _ = rest_surfels(hair, person.wardrobe.rest_corners)
    torch.testing.assert_close(lent, 1.2 * theirs, atol=0.01, rtol=0)


def test_hair_that_goes_leaves_skin_and_no_hole() -> None:
    source, person = avatar_of("hair"), avatar_of("hair")
    lent = lend(SourcePerson.of(source), person, "hair")
    bare = replace(lent, after=lent.after[:2])
    frame, pictures = frame_from(0.0)
    made = compose(bare, source, frame, pictures, NAMES)
    changed = (made.image != pictures.image).any(axis=2) & (made.mask > 250)
    assert changed.mean() > 0.05
    colour = made.image[changed].mean(axis=0) / 255
    assert np.abs(colour - SKIN).max() < 0.12


@pytest.mark.parametrize("seen", [True, False], ids=["skin", "hardly any skin"])
def test_skin_beside_new_hair_has_the_frames_own_colour(seen: bool) -> None:
    source, person = avatar_of("hair"), avatar_of("hair")
    lent = lend(SourcePerson.of(source), person, "hair")
    bare = replace(lent, after=lent.after[:2])
    frame, pictures = frame_from(0.0)
    # Bluish skin, of which the avatar knows nothing, and the old hair over the upper half.
    is_hair = np.arange(SIDE)[:, None] < SIDE // 2
    parts = np.where(is_hair, NAMES.index("hair"), NAMES.index("skin" if seen else "clothes"))
    image = np.where(is_hair[..., None], (200, 20, 20), (90, 120, 180)) * np.ones((SIDE, SIDE, 1))
    pictures = replace(
        pictures,
        image=image.astype(np.uint8),
        parts=np.broadcast_to(parts, (SIDE, SIDE)).astype(np.uint8),
    )
    made = compose(bare, source, frame, pictures, NAMES)
    brow = made.image[SIDE // 2 - 8 : SIDE // 2 - 3, SIDE // 2 - 4 : SIDE // 2 + 4].mean(
        axis=(0, 1)
    )
    wanted = (90, 120, 180) if seen else np.multiply(SKIN, 255)
    assert np.abs(brow - wanted).max() < (12 if seen else 40)


def test_a_fringe_that_part_pictures_call_skin_goes_with_the_hair() -> None:
    source = avatar_of("hair")
    lent = lend(SourcePerson.of(source), avatar_of("hair"), "hair")
    bare = replace(lent, after=lent.after[:2])
    frame, pictures = frame_from(0.0)
    rows = np.arange(SIDE)[:, None] * np.ones((1, SIDE), int)
    middle = SIDE // 2
    parts = np.where(rows < middle - 4, NAMES.index("hair"), NAMES.index("skin"))
    image = np.where(rows[..., None] < middle - 2, (90, 60, 20), (200, 150, 120))
    pictures = replace(pictures, image=image.astype(np.uint8), parts=parts.astype(np.uint8))
    made = compose(bare, source, frame, pictures, NAMES)
    fringe = made.image[middle - 4 : middle - 2, middle - 4 : middle + 4].astype(int)
    assert np.abs(fringe - (200, 150, 120)).max() < 12


def test_gloss_on_dark_skin_makes_no_other_colour_on_light_skin() -> None:
    source, person = avatar_of(), avatar_of()
    theirs = person.wardrobe.source
    dark = torch.tensor((0.3, 0.16, 0.1)).expand(len(theirs), 3).clone()
    nose = parts_of(theirs, "nose").nonzero()[:, 0]
    dark[nose[::3]] += 0.12
    person.wardrobe = replace(person.wardrobe, source=replace(theirs, colour=torch.logit(dark)))
    lent = lend(SourcePerson.of(source), person, "nose").after[-1].surfels
    albedo = torch.sigmoid(lent.colour)
    assert float((albedo - torch.tensor(SKIN)).abs().max()) < 0.15


def test_skin_is_continued_under_what_is_not_like_it() -> None:
    source = avatar_of("hair")
    colours = skin_colours(source)
    assert float((colours - torch.tensor(SKIN)).abs().max()) < 0.05
    under = skin_underlay(source, colours)
    assert not bool(parts_of(under, "hair", "eyes", "teeth").any()) and len(under) > 1000


def test_a_person_without_the_part_is_told() -> None:
    with pytest.raises(InvalidInput, match="hair: test's avatar has none"):
        lend(SourcePerson.of(avatar_of("hair")), avatar_of(), "hair")


def test_a_plan_says_what_would_be_made(tmp_path: Path) -> None:
    write_person(tmp_path / "me" / "source", {"hair": 9}, count=6)
    write_person(tmp_path / "people" / "ann", {"hair": 9, "nose": 3})
    write_person(tmp_path / "people" / "ben", {"hat": 9, "nose": 3})
    settings = SynthesisSettings(frames=4, size=64)
    plan = plan_synthesis(tmp_path / "me", tmp_path / "people", tmp_path / "out", settings)
    assert [each.name for each in plan.attributes] == [
        "hair_ann",
        "hat_ben",
        "nose_ann",
        "nose_ben",
    ]
    told = json.loads(json.dumps(plan.as_json()))
    assert {"problems", "attributes", "seconds", "bytes", "people"} <= set(told)
    assert set(told["attributes"][0]) == {
        "name", "category", "person", "frames", "seconds", "bytes"
    }  # fmt: skip
    assert told["attributes"][0]["frames"] == 4 and told["missing"]["hair_ben"]
    assert not (tmp_path / "out").exists()


def test_what_is_behind_a_person_is_not_on_the_contact_sheet(tmp_path: Path) -> None:
    folder = write_person(tmp_path / "me", {"nose": 3})
    side = cv2.imread(str(folder / "image" / "1.png")).shape[0]
    mask = np.zeros((side, side), np.uint8)
    mask[: side // 2] = 255
    for path in (folder / "image").iterdir():
        cv2.imwrite(str(path), np.full((side, side, 3), 90, np.uint8))
        cv2.imwrite(str(folder / "mask" / path.name), mask)
    plan = plan_of(find_source(folder), (), (), SynthesisSettings(size=side))
    write_sheet(plan, tmp_path)
    shown = cv2.imread(str(tmp_path / SHEET_NAME))[:, side : 2 * side]
    assert (shown[: side // 2 - 1] == 90).all() and (shown[side // 2 + 1 :] == 255).all()


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"categories": ("hatt",)}, "is no category"),
        ({"categories": ("eyeglasses",)}, "nobody in"),
        ({"categories": ("hair",), "people": ("ben",)}, "ben: is seen in 0%"),
        ({"people": ("bent",)}, "did you mean ben"),
    ],
)
def test_what_nobody_has_is_one_line(
    tmp_path: Path, changes: dict[str, tuple[str]], said: str
) -> None:
    write_person(tmp_path / "me" / "source", {"hair": 9})
    write_person(tmp_path / "people" / "ann", {"hair": 9})
    write_person(tmp_path / "people" / "ben", {"nose": 3})
    with pytest.raises(InvalidInput, match=said):
        plan_synthesis(
            tmp_path / "me", tmp_path / "people", tmp_path / "out", SynthesisSettings(**changes)
        )


@pytest.mark.parametrize("place", ["me", "me/source/out", "people", "people/ann", ".", "notes"])
def test_a_database_never_lies_in_what_it_is_made_of(tmp_path: Path, place: str) -> None:
    write_person(tmp_path / "me" / "source", {"hair": 9})
    write_person(tmp_path / "people" / "ann", {"hair": 9})
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "letter.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="choose"):
        plan_synthesis(tmp_path / "me", tmp_path / "people", tmp_path / place, SynthesisSettings())


def test_what_an_attribute_changes_is_scored_apart_from_what_it_leaves() -> None:
    plain = frame_from(0.0)[1]
    worn = np.zeros((SIDE, SIDE), np.uint8)
    worn[10:30, 10:30] = 255
    true = replace(plain, image=plain.image.copy(), part_mask=worn)
    true.image[20:30, 10:30] += 40
    half = replace(true, image=true.image.copy())
    half.image[20:30, 10:30] -= 20
    head, _, own, _, changed, untouched = score(half, true, plain)
    assert changed == pytest.approx(-20 * np.log10(20 / 255))
    assert untouched == pytest.approx(-20 * np.log10(40 / 255))
    assert head > own > changed, "most of the head, and half of the part, is as it was"
    assert np.isnan(score(plain, plain, plain)[2:]).all()


@pytest.mark.slow
def test_the_truth_is_drawn_as_the_person_was(tmp_path: Path) -> None:
    """Nothing put on is as good as untouched, and the same outside what changes."""
    person = PersonConfig(made_of="painted")
    capture(
        CaptureConfig(
            image_size=64, num_source_frames=3, num_processes=1, subjects=("source",), person=person
        ),
        tmp_path / "me",
        lambda _, __: None,
    )
    lender = CaptureConfig(person=replace(person, wears=("hat_cap",)))
    (tmp_path / "people" / "ann").mkdir(parents=True)
    (tmp_path / "people" / SETTINGS_FILE).write_text(json.dumps(asdict(lender)), "utf-8")
    shutil.copytree(tmp_path / "me" / "source", tmp_path / "out" / "hat_ann")
    ann = Person("ann", tmp_path / "people" / "ann", 3, ("hat",))
    plan = plan_of(find_source(tmp_path / "me"), [ann], [], SynthesisSettings(("hat",), size=32))
    (found,) = compare_with_truth(plan, tmp_path / "out", tmp_path / "truth")
    assert found.name == "hat_ann" and found.frames == 3
    assert found.psnr_changed == found.psnr_untouched < found.psnr < 40
    for path in (tmp_path / "me" / "source" / "image").iterdir():
        drawn = cv2.imread(str(tmp_path / "truth" / "hat_ann" / "image" / path.name))
        np.testing.assert_array_equal(drawn[-8:], cv2.imread(str(path))[-8:])
    lines = table([found]).splitlines()
    assert f"{found.psnr_changed:10.2f}" in lines[1] and "mean of 1 categories" in lines[2]
