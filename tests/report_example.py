"""A report made by hand, with a name that would be markup, and what a page of it must hold to."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np

from trainer.report.request import SECTIONS
from trainer.report.tables import Report

EVIL = 'hat_"><img src=http://evil.example onerror=alert(1)>&'
VALUES = {"psnr_frame": 30.0, "psnr_head": 28.5, "ssim": 0.97, "l1": 0.01, "mask_iou": 0.98}
_VOID = {"meta", "link", "img", "line", "circle", "polyline", "br", "text"}


def picture(value: int = 128) -> str:
    done, encoded = cv2.imencode(".jpg", np.full((32, 32, 3), value, np.uint8))
    assert done
    return base64.b64encode(encoded.tobytes()).decode()


def example_report() -> Report:
    """All sections, two subjects and a pair."""
    frames = [
        _record("frames", f"{name}/{i}", name, {**VALUES, "psnr_head": 25.0 + i}, region=i == 0)
        for name in ("source", EVIL, "hat_a+hair_b")
        for i in range(2)
    ]
    steps = [0.001 * (1 + i % 7) for i in range(60)]
    largest = {"largest_step": 0.007, "largest_at": 7.0, "mean_step": 0.004}
    return Report(
        facts={
            "avatar": EVIL, "avatar_file": "a.avatar", "num_points": 1000, "attributes": [EVIL],
            "head": "free head", "data": "people", "frames": 6, "size": 64, "date": "2026-11-29",
        },
        notes=[f"Left out: {EVIL}."],
        missing={"lpips": "lpips_alex.pth", "fid": "inception_fid.onnx"},
        subjects={"source": {**VALUES}, EVIL: {**VALUES, "region_iou": 0.9, "outside": 0.2}},
        pairs={"hat_a+hair_b": {**VALUES, "region_iou": 0.8}},
        above={"hat_a+hair_b": {"psnr_head": -0.5, "psnr_frame": 0.25}},
        mean={**VALUES, "region_iou": 0.9},
        records=[
            *frames,
            _record("views", EVIL, EVIL, {"holes": 0.01}, count=9),
            _record("reenactment", "1", "other", {"identity": 0.8}, count=2),
            {**_record("interpolation", f"{EVIL} → hat_b", "hat", largest, 5), "series": steps},
            _record("compositions", "hat_a, hair_b", "", {}, count=1),
            _record("samples", "hair 1", "hair", {}, count=1),
        ],
        sections=tuple(SECTIONS),
    )  # fmt: skip


def _record(
    section: str, name: str, group: str, values: dict, count: int = 3, region: bool = False
) -> dict:
    captions = ["taken", "drawn", "difference", *(["region"] if region else [])]
    pictures = [[captions[i] if i < len(captions) else f"{i}", picture()] for i in range(count)]
    if region:
        pictures.append(["region", picture(90)])
    return {
        "section": section, "name": name, "group": group, "values": values,
        "pictures": pictures, "series": [], "features": [],
    }  # fmt: skip


class Page(HTMLParser):
    """What a page consists of; fails where tags are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                assert value not in self.ids
                self.ids.add(str(value))
            if name in ("src", "href", "srcset", "data", "action"):
                (self.links if tag == "a" else self.sources).append(str(value))
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in _VOID or tag == "text":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag == "circle":  # holds its title
            return
        assert self._open and self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check_page(text: str) -> Page:
    """That a page is whole, stands alone and says nothing as markup that was a name."""
    page = Page(text)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert all(source.startswith("data:") for source in page.sources)
    assert not page.handlers
    style = re.sub(r"data:[^\"']+", "", text)
    assert not re.search(r"url\(|@import|https?://(?!evil)", style)
    return page
