"""Surfels: the rules on cases small enough to work out by hand, and every engine on the oracle."""

from __future__ import annotations

import math

import psutil
import pytest
import torch

from pegasus_runtime import blend
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.raster import available_engines, largest_weights, missing_engines
from pegasus_runtime.raster.numba.surfel_binning import bin_surfels
from pegasus_runtime.raster.torch_surfels import centres_in_pixels

Leaves = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

SIZE = (9, 9)
ROUND = (0.5, 0.0, 0.5)


@pytest.fixture(params=[name for name in available_engines() if name != "pytorch3d"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _draw(
    engine: str,
    centres: list[list[float]],
    conics: list[tuple[float, float, float]],
    opacities: list[float],
    size: tuple[int, int] = SIZE,
    features: list[list[float]] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image and alpha of surfels with features of ones, or those given."""
    points = torch.tensor(centres).reshape(-1, 3)
    colours = torch.ones(len(points), 1) if features is None else torch.tensor(features)
    return blend(
        points,
        colours,
        conics=torch.tensor(conics).reshape(-1, 3),
        opacities=torch.tensor(opacities),
        image_size=size,
        engine=engine,
    )


def _at(column: float, row: float, size: tuple[int, int] = SIZE) -> list[float]:
    """NDC x and y of a place in pixels."""
    height, width = size
    side = min(size)
    return [(width - 1 - 2 * column) / side, (height - 1 - 2 * row) / side]


def test_alpha_falls_off_as_a_gaussian_of_the_conic(engine: str) -> None:
    size = (7, 12)
    image, alpha = _draw(engine, [[*_at(4, 3, size), 1.0]], [(0.4, 0.1, 0.3)], [0.8], size)
    for column, row in ((4, 3), (5, 3), (4, 4), (5, 4), (3, 4), (6, 2)):
        dx, dy = column - 4, row - 3
        q = 0.4 * dx * dx + 0.2 * dx * dy + 0.3 * dy * dy
        assert alpha[row, column].item() == pytest.approx(0.8 * math.exp(-q / 2), rel=1e-5)
    torch.testing.assert_close(image[..., 0], alpha)
    # dx rises to the right and dy downwards: with b > 0 it is thin towards lower right.
    assert alpha[4, 5] < alpha[4, 3]


def test_it_ends_at_three_sigma_or_where_it_is_too_faint(engine: str) -> None:
    _, alpha = _draw(engine, [[*_at(4, 4), 1.0]], [(1.001, 0.0, 0.999)], [1.0])
    assert alpha[4, 7] == 0.0 and alpha[7, 4] > 0.0
    assert alpha[4, 4].item() == pytest.approx(0.99)
    # 0.1 · exp(−q / 2) reaches 1/255 at q = 6.5.
    _, alpha = _draw(engine, [[*_at(4, 4), 1.0]], [(6.45 / 4, 0.0, 6.55 / 4)], [0.1])
    assert alpha[4, 6].item() == pytest.approx(1 / 255, rel=0.05) and alpha[6, 4] == 0.0
    _, alpha = _draw(engine, [[*_at(4, 4), 1.0]], [ROUND], [0.0039])
    assert not alpha.any()


def test_the_nearer_centre_is_in_front_and_ties_go_by_row(engine: str) -> None:
    middle = _at(4, 4)
    centres = [[*middle, 3.0], [*middle, 1.0], [*middle, 2.0], [*middle, 1.0]]
    image, alpha = _draw(engine, centres, [ROUND] * 4, [0.5] * 4, features=torch.eye(4).tolist())
    assert image[4, 4].tolist() == pytest.approx([0.0625, 0.5, 0.125, 0.25])
    assert alpha[4, 4].item() == pytest.approx(0.9375)


def test_nothing_is_added_once_a_pixel_is_opaque(engine: str) -> None:
    # After one and a half of these, 0.0001 passes: the second is still added, the third is not.
    centres = [[*_at(4, 4), 1.0 + i] for i in range(3)]
    image, alpha = _draw(engine, centres, [ROUND] * 3, [1.0] * 3, features=torch.eye(3).tolist())
    assert image[4, 4].tolist() == pytest.approx([0.99, 0.0099, 0.0])
    assert alpha[4, 4].item() == pytest.approx(0.9999)
    assert image[4, 7, 2] > 0.0


def test_what_is_no_surfel_is_not_drawn_and_spoils_nothing(engine: str) -> None:
    nan, inf = float("nan"), float("inf")
    place = [*_at(4, 4), 1.0]
    wrong: list[tuple[list[float], tuple[float, float, float], float]] = [
        ([0.0, 0.0, 0.0], ROUND, 1.0),
        ([0.0, 0.0, -1.0], ROUND, 1.0),
        *(([nan if k == axis else 0.1 for k in range(3)], ROUND, 1.0) for axis in range(3)),
        ([inf, 0.0, 1.0], ROUND, 1.0),
        ([0.0, 0.0, inf], ROUND, 1.0),
        *((place, conic, 1.0) for conic in ((nan, 0, 1), (1, inf, 1), (1, 0, inf), (1, 0, nan))),
        *((place, conic, 1.0) for conic in ((0, 0, 0), (-1, 0, -1), (1, 1, 1), (1, 0, -1))),
        *((place, conic, 1.0) for conic in ((1, 0, 0), (0, 0, 1), (1, 2, 1), (1, 0.9999999, 1))),
        *((place, ROUND, opacity) for opacity in (0.0, -1.0, nan, inf, 0.003)),
    ]
    leaves = [
        torch.tensor([*(entry[0] for entry in wrong), place]),
        torch.tensor([[nan]] * len(wrong) + [[1.0]]),
        torch.tensor([*(entry[1] for entry in wrong), ROUND]),
        torch.tensor([*(entry[2] for entry in wrong), 0.5]),
    ]
    for leaf in leaves:
        leaf.requires_grad_()
    points, features, conics, opacities = leaves
    image, alpha = blend(
        points, features, conics=conics, opacities=opacities, image_size=SIZE, engine=engine
    )
    (image.sum() + alpha.square().sum()).backward()
    expected, _ = _draw(engine, [place], [ROUND], [0.5])
    torch.testing.assert_close(image, expected)
    for leaf in leaves:
        assert leaf.grad is not None and torch.isfinite(leaf.grad).all()
        assert not leaf.grad[:-1].any()


def test_huge_ellipses_cover_the_picture_and_those_beyond_it_nothing(engine: str) -> None:
    size = (20, 37)
    conics = [(1e-12, 0.0, 1e-12), (1e-30, 0.0, 1e-30), ROUND, ROUND]
    centres = [[0.3, 0.2, 1.0], [100.0, 0.0, 2.0], [1e30, 0.0, 1.0], [0.0, 5.0, 1.0]]
    _, alpha = _draw(engine, centres, conics, [0.5] * 4, size)
    torch.testing.assert_close(alpha, torch.full(size, 0.75))


def test_surfels_at_the_edges_are_drawn_in_part(engine: str) -> None:
    size = (17, 40)
    for column, row in ((-2, 8), (41, 8), (20, -1), (20, 18), (-1, -1), (40, 17)):
        conic = (0.51, 0.0, 0.51)
        _, alpha = _draw(engine, [[*_at(column, row, size), 1.0]], [conic], [0.9], size)
        distance2 = (torch.arange(40) - column) ** 2 + (torch.arange(17)[:, None] - row) ** 2
        expected = torch.where(distance2 < 18, 0.9 * torch.exp(-0.255 * distance2), 0.0)
        torch.testing.assert_close(alpha, expected)


@pytest.mark.parametrize("num_channels", [0, 1, 3])
def test_without_surfels_the_picture_is_empty(engine: str, num_channels: int) -> None:
    points = torch.zeros(0, 3, requires_grad=True)
    features, conics = torch.zeros(0, num_channels, requires_grad=True), torch.zeros(0, 3)
    image, alpha = blend(
        points, features, conics=conics, opacities=conics[:, 0], image_size=(3, 5), engine=engine
    )
    assert image.shape == (3, 5, num_channels) and alpha.shape == (3, 5)
    assert not image.any() and not alpha.any()
    (image.sum() + alpha.sum()).backward()
    assert features.grad is not None


@pytest.mark.slow
def test_the_largest_weight_says_how_much_is_seen(engine: str) -> None:
    centres = [[*_at(4, 4), 2.0], [*_at(4, 4), 1.0], [*_at(4, 4), 3.0], [0.0, 0.0, -1.0]]
    weights = largest_weights(
        torch.tensor(centres),
        conics=torch.tensor([(0.5, 0.0, 0.5), (2.0, 0.0, 2.0), (0.5, 0.0, 0.5), ROUND]),
        opacities=torch.tensor([1.0, 0.9, 0.9, 1.0]),
        image_size=SIZE,
        engine=engine,
    )
    # The second lets 1 − 0.9 · exp(−1) through beside its centre, exp(−0.25) of which is taken.
    best = max(
        math.exp(-0.25 * d) * (1 - 0.9 * math.exp(-d) * (2 * d <= 9)) for d in (0, 1, 2, 4, 5)
    )
    assert weights[:2].tolist() == pytest.approx([best, 0.9], rel=1e-5)
    assert 0.0 < weights[2] < weights[0] and weights[3] == 0.0


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("points", torch.zeros(3, 2), "points: the shape is (3, 2)"),
        ("points", torch.zeros(3, 3, dtype=torch.int32), "give (N, 3) floating point"),
        ("features", torch.zeros(2, 1), "features: the shape is (2, 1)"),
        ("conics", torch.zeros(3, 2), "give (3, 3) floating point"),
        ("conics", torch.zeros(3, 3, dtype=torch.int64), "the type int64"),
        ("conics", torch.zeros(3, 3, device="meta"), "conics: on meta, the points on cpu"),
        ("opacities", torch.zeros(3, 1), "opacities: the shape is (3, 1)"),
        ("opacities", torch.zeros(2), "give (3,) floating point"),
        ("image_size", (0, 4), "image_size (0, 4): a side is 1 to"),
        ("engine", "pytorch3d", "draws discs only, no surfels; use 'auto'"),
        ("engine", "opengl", "there is no such rasteriser"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(name: str, value: object, says: str) -> None:
    arguments: dict[str, object] = {
        "points": torch.zeros(3, 3),
        "features": torch.zeros(3, 1),
        "conics": torch.zeros(3, 3),
        "opacities": torch.zeros(3),
        "image_size": (4, 4),
        name: value,
    }
    with pytest.raises(InvalidInput) as refusal:
        blend(**arguments)  # type: ignore[arg-type]
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


# How many surfels, image size, how large they are in pixels, channels.
CASES = [
    (1, (7, 7), 2.0, 3),
    (300, (40, 40), 1.5, 3),
    (400, (17, 90), 3.0, 1),
    (400, (90, 17), 6.0, 4),
    (150, (33, 65), 30.0, 9),
    (1000, (48, 48), 0.7, 2),
    (30, (20, 40), 500.0, 3),
]
# Triton's interpreter takes a millisecond for every surfel in every block of pixels.
FEW = [(max(1, count // 20), size, radius, channels) for count, size, radius, channels in CASES]


def _cloud(num_surfels: int, size: tuple[int, int], radius: float, num_channels: int) -> Leaves:
    """Surfels of all shapes and opacities in a picture and around it, with ties of depth."""
    torch.manual_seed(num_surfels + size[1])
    reach = torch.tensor([max(1.0, size[1] / size[0]), max(1.0, size[0] / size[1]), 1.0])
    points = (torch.rand(num_surfels, 3) * 2.4 - 1.2) * reach
    points[:, 2] = torch.round(points[:, 2] * 4) + 5
    root = torch.randn(num_surfels, 2, 2) * radius
    inverse = torch.linalg.inv(root @ root.mT + 0.3 * torch.eye(2))
    conics = inverse.reshape(-1, 4)[:, [0, 1, 3]]
    opacities = torch.rand(num_surfels)
    opacities[_ends_at_a_pixel(points, conics, opacities, size)] = 0.0
    return points, torch.randn(num_surfels, num_channels), conics, opacities


def _ends_at_a_pixel(
    points: torch.Tensor, conics: torch.Tensor, opacities: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Surfels of which rounding would decide whether they cover some pixel, (N,) bool."""
    column, row = (c[:, None, None] for c in centres_in_pixels(points.double(), size))
    dx, dy = torch.arange(size[1]) - column, torch.arange(size[0])[:, None] - row
    a, b, c = conics.double().T[:, :, None, None]
    square_x, product, square_y = a * dx * dx, 2 * b * dx * dy, c * dy * dy
    cut = (2 * torch.log(255 * opacities.double())).clamp(max=9)[:, None, None]
    rounding = 1e-4 + 1e-5 * (square_x + product.abs() + square_y)
    near = (square_x + product + square_y - cut).abs() < rounding
    return near.any(dim=2).any(dim=1)


def _results(
    engine: str, leaves: Leaves, size: tuple[int, int], dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    """Image, alpha, and gradients of both by everything."""
    torch.manual_seed(1)
    upstream = torch.randn(*size, leaves[1].shape[1]), torch.randn(size)
    points, features, conics, opacities = [leaf.to(dtype).requires_grad_() for leaf in leaves]
    drawn = blend(
        points, features, conics=conics, opacities=opacities, image_size=size, engine=engine
    )
    gradients = torch.autograd.grad(
        drawn, (points, features, conics, opacities), [g.to(drawn[0].dtype) for g in upstream]
    )
    return [tensor.detach() for tensor in (*drawn, *gradients)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "case"),
    [*(("numba", case) for case in CASES), *(("triton", case) for case in FEW)],
)
def test_pictures_and_gradients_are_those_of_the_oracle(
    case: tuple[int, tuple[int, int], float, int], engine: str
) -> None:
    if engine in missing_engines():
        pytest.skip(f"{engine}: {missing_engines()[engine]}")
    leaves = _cloud(*case)
    expected = _results("torch", leaves, case[1], torch.float64)
    found = _results(engine, leaves, case[1])
    for one, other in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(one.double(), other, atol=2e-5, rtol=0)
    for one, other in zip(found[2:], expected[2:], strict=True):
        assert (one.double() - other).abs().max() <= 2e-4 * other.abs().max()
    points, _, conics, opacities = leaves
    one, other = (
        largest_weights(points, conics=conics, opacities=opacities, image_size=case[1], engine=name)
        for name in (engine, "torch")
    )
    torch.testing.assert_close(one, other, atol=2e-5, rtol=0)


def test_numba_gives_the_same_bits_on_every_run() -> None:
    leaves = _cloud(1000, (48, 48), 1.5, 3)
    first = _results("numba", leaves, (48, 48))
    for one, other in zip(first, _results("numba", leaves, (48, 48)), strict=True):
        assert torch.equal(one, other)


def test_memory_does_not_grow_from_picture_to_picture() -> None:
    points, features, conics, opacities = _cloud(1000, (32, 32), 1.5, 3)
    taken = []
    for turn in range(160):
        rows = slice(turn % 7, None)
        leaves = points[rows], features[rows], conics[rows], opacities[rows]
        _results("numba", leaves, (32, 32))
        taken.append(psutil.Process().memory_info().rss)
    # The lists and gradients of one picture are a third of a megabyte.
    assert taken[-1] - taken[40] < 16 << 20


def test_lists_stay_short_however_large_ellipses_are() -> None:
    count = 500
    huge = torch.tensor([[1e-7, 0.0, 1e-7]]).repeat(count, 1)
    binned = bin_surfels(torch.rand(count, 3) + 0.1, huge, torch.full((count,), 0.5), (512, 700))
    assert len(binned.entries) <= 8 * count


def test_the_oracle_agrees_with_finite_differences() -> None:
    torch.manual_seed(5)
    count, size = 10, (6, 9)
    xy = (torch.rand(count, 2, dtype=torch.float64) * 2 - 1).requires_grad_()
    features = torch.randn(count, 2, dtype=torch.float64, requires_grad=True)
    root = torch.randn(count, 2, 2, dtype=torch.float64) * 0.2
    matrix = root @ root.mT + 0.02 * torch.eye(2, dtype=torch.float64)
    conics = matrix.reshape(count, 4)[:, [0, 1, 3]].clone().requires_grad_()
    opacities = (torch.rand(count, dtype=torch.float64) * 0.7 + 0.2).requires_grad_()
    depth = torch.arange(1.0, count + 1.0, dtype=torch.float64)

    def draw(*leaves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        placed = torch.cat([leaves[0], depth[:, None]], dim=1)
        return blend(
            placed,
            leaves[1],
            conics=leaves[2],
            opacities=leaves[3],
            image_size=size,
            engine="torch",
        )

    assert torch.autograd.gradcheck(draw, (xy, features, conics, opacities))
