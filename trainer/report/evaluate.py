"""An evaluation from the request to the page.

1. The avatar, the frames and the motion are read; what cannot be used is refused or noted.
2. All that is asked becomes pieces of work, each with a digest of what its result depends on.
3. What earlier calls have found stays; the rest is shared among the processes, and each result is
   on the disk before the next begins.
4. The first process writes tables and page of all results.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from pegasus_runtime.assets import file_sha256
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.avatar_file import load_avatar
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import output_folder, sweep_leftovers
from pegasus_runtime.head import load_head
from pegasus_runtime.run_lock import LOCK_FILE, hold
from trainer.engine.distributed import ProcessGroup
from trainer.report.driver import Driver, read_driver
from trainer.report.frame_items import frame_items
from trainer.report.gallery_items import (
    composition_items,
    interpolation_items,
    reenactment_items,
    sample_items,
    view_items,
)
from trainer.report.request import SECTIONS, EvaluationRequest
from trainer.report.results import FOLDER, Record, Results
from trainer.report.subjects import Data, find_data, spread
from trainer.report.tables import Report, summarise
from trainer.report.work import Tools, WorkItem
from trainer.report.writing import FILES, write_report

OWN = (*FILES, f"{FOLDER}/", LOCK_FILE, f".{LOCK_FILE}-*", ".pegasus-*")
"""what a report's folder holds"""
_DRIVER_FRAMES = 24
"""Of a motion, where no limit is asked for: more show more of it and take longer."""
Tell = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """All that is to be done."""

    avatar: Avatar
    data: Data
    driver: Driver | None
    items: list[WorkItem]
    base: str
    """what all results depend on"""


def evaluate_avatar(request: EvaluationRequest, group: ProcessGroup, tell: Tell) -> Report | None:
    """Do what is not done yet and write the report.

    Args:
        request: what to look at.
        group: the processes that share the work.
        tell: called with a section and the share of the work that is done, by the first process.

    Returns:
        The report, in the first process.

    Raises:
        FileNotFoundError: avatar, data or motion are not there.
        InvalidInput: one of them cannot be used, or the report cannot be written.
    """
    _check_out(request)
    avatar = load_avatar(request.avatar, load_head(request.head) if request.head else None)
    tools = Tools(avatar, str(group.device), request.size)
    plan = _plan(request, avatar, tools)
    if group.is_first:
        request.out.mkdir(exist_ok=True)
        sweep_leftovers(request.out)
    group.barrier()
    results = Results(request.out, group.rank)
    with hold(request.out, "an evaluation") if group.is_first else nullcontext():
        _work(plan, results, group, tell)
        group.barrier()
        if not group.is_first:
            return None
        report = _report(request, plan, tools, results)
        write_report(request.out, report)
    return report


def _check_out(request: EvaluationRequest) -> None:
    out, data = request.out.resolve(), request.data.resolve()
    if out == data or out in data.parents:
        raise InvalidInput(
            f"{request.out}: holds the data that is evaluated; name another folder for the report."
        )
    output_folder(request.out, OWN)


def _plan(request: EvaluationRequest, avatar: Avatar, tools: Tools) -> Plan:
    wanted, data, driver = set(request.sections), Data([]), None
    if wanted & {"rendering", "masks", "pairs"}:
        data = find_data(request, avatar)
    if request.reenact is not None and "reenactment" in wanted:
        driver = read_driver(request.reenact, avatar, request.size)
    subjects = [s for s in data.subjects if ("pairs" if s.is_pair else "rendering") in wanted]
    if "masks" in wanted and "rendering" not in wanted:
        subjects += [s for s in data.subjects if s.worn and not s.is_pair]
    items = frame_items(tools, subjects)
    if driver is not None:
        frames = spread(driver.frames, request.limit or _DRIVER_FRAMES)
        items += reenactment_items(tools, driver, frames)
    makers = {
        "views": view_items,
        "interpolation": interpolation_items,
        "compositions": composition_items,
        "samples": sample_items,
    }
    for section, make in makers.items():
        items += make(tools) if section in wanted else []
    if not items:
        raise InvalidInput(
            f"{request.avatar}: nothing of what is asked can be done with it "
            f"({', '.join(request.sections)}); leave --only out."
        )
    assert avatar.path is not None
    facts = (file_sha256(avatar.path), avatar.head.sha256, request.size)
    return Plan(avatar, data, driver, items, repr((*facts, *tools.facts)))


def _work(plan: Plan, results: Results, group: ProcessGroup, tell: Tell) -> None:
    done = results.read(_wanted(plan))
    left = [item for item in plan.items if item.key not in done]
    # All have seen the same files before anybody adds to them.
    group.barrier()
    own = left[group.rank :: group.size]
    total, missing = (sum(item.cost for item in items) for items in (plan.items, left))
    # The others are as far as this one.
    share_of_all = missing / max(sum(item.cost for item in own), 1e-9)
    found = total - missing
    results.begin()
    for item in own:
        tell(SECTIONS.get(item.section, "Comparing frames"), found / total)
        results.add(item.do(plan.base))
        found += item.cost * share_of_all
    tell("Writing the report", 1.0)


def _report(request: EvaluationRequest, plan: Plan, tools: Tools, results: Results) -> Report:
    found = results.read(_wanted(plan))
    records: list[Record] = [found[item.key] for item in plan.items if item.key in found]
    notes = [*plan.data.notes, *(plan.driver.notes if plan.driver else [])]
    if "reenactment" in request.sections and request.reenact is None:
        notes.append("Re-enactment needs --reenact FILE, another's flame_params.json.")
    return summarise(request, plan.avatar, plan.data, records, notes, tools.missing)


def _wanted(plan: Plan) -> list[tuple[str, str]]:
    return [(item.key, item.digest(plan.base)) for item in plan.items]
