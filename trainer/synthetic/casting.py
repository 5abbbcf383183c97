"""Who is drawn: a person made of human assets where there are any, else the painted one."""

from __future__ import annotations

from functools import lru_cache

from pegasus_runtime import human_assets
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_free_head
from pegasus_runtime.human_assets import FOLDER_NAME, HumanAssets, find_human_assets
from trainer.synthetic.asset_person import make_asset_person
from trainer.synthetic.asset_renderer import AssetRenderer
from trainer.synthetic.attributes import attributes_of
from trainer.synthetic.config import SOURCE, CaptureConfig
from trainer.synthetic.gl_renderer import GLRenderer
from trainer.synthetic.lending import is_lent
from trainer.synthetic.people import Look, choose_look
from trainer.synthetic.person import Person, make_person


def assets_for(config: CaptureConfig) -> HumanAssets | None:
    """The assets that a capture draws with; None: its person is painted.

    Raises:
        InvalidInput: there are none, and the capture insists on them.
    """
    if config.person.made_of == "painted":
        return None
    found = find_human_assets()
    if found is None and config.person.made_of == "assets":
        raise InvalidInput(
            f"person.made_of = assets: no human assets were found; put {human_assets.SOURCE} into "
            f"{FOLDER_NAME} in the asset folder (doctor says where)."
        )
    return found


def look_for(config: CaptureConfig, assets: HumanAssets) -> Look:
    """The person of a capture that is made of assets."""
    return choose_look(assets, config.person.name, config.seed, config.person.changes())


@lru_cache(maxsize=2)
def person_for(config: CaptureConfig, subject: str) -> Person:
    """The person of a capture wearing what the subject's name says."""
    assets = assets_for(config)
    own = () if subject == SOURCE else (subject,)
    subject = "+".join((*own, *config.person.wears)) or subject
    if assets is None:
        return make_person(load_free_head(), config.seed, subject)
    return make_asset_person(load_free_head(), look_for(config, assets), subject, assets)


def renderer_for(config: CaptureConfig, subject: str, image_size: int) -> GLRenderer:
    """What draws that person; release it."""
    person = person_for(config, subject)
    kind = AssetRenderer if person.batches else GLRenderer
    return kind(person, image_size, config.supersampling)


def drawn_subjects(config: CaptureConfig) -> tuple[str, ...]:
    """The subjects of a capture that can be drawn with what is there."""
    if assets_for(config) is not None:
        return config.subjects
    return tuple(
        name
        for name in config.subjects
        if not is_lent(name) and not any(a.needs_assets for a in attributes_of(name))
    )


def describe_cast(config: CaptureConfig) -> str:
    """Who is drawn, and which subjects cannot be, in a line."""
    assets = assets_for(config)
    if assets is not None:
        return f"{look_for(config, assets).name}, made of the human assets in {assets.folder}"
    missing = [name for name in config.subjects if name not in drawn_subjects(config)]
    left_out = f"; left out, as they need assets: {', '.join(missing)}" if missing else ""
    who = f" in the place of {config.person.name}" if config.person.name else ""
    return f"the painted person{who} (no human assets are used){left_out}"
