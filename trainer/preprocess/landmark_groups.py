"""Which of the face estimator's 478 landmarks are what (MediaPipe Face Mesh's own numbering)."""

from __future__ import annotations

NUM_LANDMARKS = 478
FIRST_IRIS = 468
"""From here on come the irises: the centre and four points of its rim, the person's right eye
first."""

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""The face's outline, clockwise in the picture from the top of the forehead. It follows what is
seen, not the skin: a turned face has its outline elsewhere."""
OUTER_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip
INNER_LIPS = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398)
RIGHT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
LEFT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)
NOSE_RIDGE = (1, 4, 5, 6, 168, 195, 197)
RIGHT_IRIS, LEFT_IRIS = 468, 473
"""centres"""

LID_PAIRS = ((159, 145), (158, 153), (160, 144), (386, 374), (385, 380), (387, 373))
"""upper and lower lid, one above the other"""
LIP_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402))
"""upper and lower lip at the inner edge"""
FOREHEAD, CHIN = 10, 152
