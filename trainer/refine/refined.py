"""What is mended when a training ends, in the order in which one needs what another finds."""

from __future__ import annotations

from pegasus_runtime.head import Head
from pegasus_runtime.surfels.attributes import Wardrobe
from pegasus_runtime.surfels.parts import with_guessed_parts
from pegasus_runtime.surfels.pose import LightNetwork
from trainer.data.dataset import Capture
from trainer.refine.carved_glasses import with_carved_glasses
from trainer.refine.eyeballs import within_eyeballs
from trainer.refine.misplaced_surfels import without_misplaced
from trainer.refine.neck_base import with_neck_base
from trainer.refine.outliers import without_outliers
from trainer.refine.part_votes import with_parts
from trainer.refine.skin_lining import with_lining
from trainer.refine.teeth import on_teeth
from trainer.refine.tongue import with_whole_tongue
from trainer.refine.unfaced_skin import with_smooth_sides


def refined(
    wardrobe: Wardrobe, head: Head, light: LightNetwork, capture: Capture, is_final: bool = True
) -> Wardrobe:
    """The surfels that people get.

    Args:
        wardrobe: as the last step left it.
        head: of the capture.
        light: that was learned, on the CPU.
        capture: that was learned from.
        is_final: for a look alone what surfels show is guessed, and nothing is left out or carved
            by it; to ask all frames takes as long as hundreds of steps.
    """
    wardrobe = within_eyeballs(on_teeth(wardrobe, head, capture), head)
    wardrobe = with_whole_tongue(wardrobe, head, capture)
    wardrobe = with_neck_base(without_outliers(wardrobe, head, capture), head, capture)
    if not is_final:
        return with_guessed_parts(wardrobe, head)
    wardrobe = with_parts(wardrobe, head, capture)
    wardrobe = with_smooth_sides(without_misplaced(wardrobe, capture), head, capture)
    wardrobe = with_lining(wardrobe, head, capture)
    return with_carved_glasses(wardrobe, head, light, capture)
