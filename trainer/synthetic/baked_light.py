"""How much of the sky and of the key light each vertex of a person at rest sees.

Depth pictures from many directions say what hides what; worked out once for each person, so that
a frame costs nothing more. Hair and attributes darken themselves and not the skin below them: what
an attribute changes stays where it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pegasus_runtime.head.mesh_normals import vertex_normals
from trainer.synthetic.frame_sampling import FrameParameters, still_frame_parameters
from trainer.synthetic.gl_renderer import FloatArray, posed_vertices
from trainer.synthetic.person import Person

_SIDE = 320
"""of a depth picture: finer ones see thinner things and cost the square of that"""
_NUM_SKY, _NUM_KEY = 40, 14
"""directions: more are smoother, and each is one more depth picture"""
_KEY = np.array([0.50, 0.55, 0.90])
"""Where the main light comes from: farther to the side it shades half of the face."""
_KEY_SPREAD = 0.28
"""Of its directions: more makes shadows softer, less shows the edge of each."""
_CENTRE, _REACH = np.array([0.0, -0.05, 0.0]), 1.05
"""Of the sphere that depth pictures show: a larger one is coarser, a smaller one cuts shoulders
off."""
_BIAS = 0.014
"""Larger hides less of what is near, such as nostrils; smaller speckles."""
_LIFT = 0.012
"""By which points stand off their own surface: as the bias."""
_DOWN_TO, _GRAZING = 1.55, 0.04
"""How far below the horizon the sky reaches, 1 is to it and 2 all around, and what it gives to what
faces away: more lights chins from below, less leaves them black."""
_OPEN_JAW = 0.25
"""Radians at which the inside of the mouth is lit: more lights the throat, less leaves teeth dark
in a smile."""
_INNER = ("teeth", "tongue", "mouth")
_VERTEX = """#version 330
in vec3 position;
in vec2 uv;
uniform mat4 view;
out vec2 place;
void main() { place = uv; gl_Position = view * vec4(position, 1.0); }
"""
_FRAGMENT = """#version 330
in vec2 place;
uniform sampler2D strands;
uniform int is_card;
void main() { if (is_card == 1 && texture(strands, place).a < 0.5) discard; }
"""


def bake_light(context: Any, person: Person) -> FloatArray:
    """(V, 2) shares of sky and key light that reach each vertex."""
    rest = still_frame_parameters(16)
    lit = _lit(context, person, rest)
    pose = rest.pose.copy()
    pose[6] = _OPEN_JAW
    opened = _lit(context, person, FrameParameters(rest.expression, pose, rest.camera))
    inner = np.isin(person.face_part, [person.part_names.index(name) for name in _INNER])
    inside = np.unique(person.head.faces.numpy()[inner])
    lit[inside] = np.maximum(lit[inside], opened[inside])
    return lit


def _lit(context: Any, person: Person, frame_parameters: FrameParameters) -> FloatArray:
    faces = person.head.faces.numpy()
    vertices = posed_vertices(person, frame_parameters)
    normals = vertex_normals(vertices, faces)
    lit = np.ones((len(vertices), 2), np.float32)
    groups = sorted({batch.shade_group for batch in person.batches})
    for group in groups:
        hiding = [b for b in person.batches if b.shade_group in (0, group)]
        own = [b for b in person.batches if b.shade_group == group]
        chosen = np.unique(
            np.concatenate([faces[b.start : b.start + b.count].ravel() for b in own])
        )
        with_depth = _DepthPictures(context, person, hiding, vertices)
        lit[chosen] = with_depth.seen(vertices[chosen], normals[chosen], two_sided=group > 0)
        with_depth.release()
    return lit


def _directions(count: int) -> FloatArray:
    """Unit vectors (N, 3), even over what is above and beside, fewer below."""
    index = np.arange(count) + 0.5
    height = 1 - _DOWN_TO * index / count
    around = np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.sin(around), height, flat * np.cos(around)], axis=1)


class _DepthPictures:
    """Draws some batches from far away along a direction."""

    def __init__(self, context: Any, person: Person, batches: list[Any], vertices: FloatArray):
        self._context = context
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._depth = context.depth_texture((_SIDE, _SIDE))
        self._framebuffer = context.framebuffer(depth_attachment=self._depth)
        self._arrays = [self._load(person, batch, vertices) for batch in batches]

    def _load(self, person: Person, batch: Any, vertices: FloatArray) -> tuple[Any, Any]:
        chosen = slice(batch.start, batch.start + batch.count)
        assert person.uv is not None
        corners = person.head.faces.numpy()[chosen].ravel()
        both = np.concatenate([vertices[corners], person.uv[chosen].reshape(-1, 2)], axis=1)
        buffer = self._context.buffer(both.astype("f4").tobytes())
        array = self._context.vertex_array(self._program, [(buffer, "3f 2f", "position", "uv")])
        pixels = batch.textures.get("strands") if batch.has_edges else None
        if pixels is None:
            return array, None
        return array, self._context.texture(pixels.shape[1::-1], 4, pixels[::-1].tobytes())

    def seen(self, points: FloatArray, normals: FloatArray, two_sided: bool) -> FloatArray:
        """(N, 2) the shares of sky and key that reach points with these normals."""
        sky, total = np.zeros(len(points)), np.zeros(len(points))
        for direction in _directions(_NUM_SKY):
            facing = normals @ direction
            weight = np.abs(facing) * 0.5 + 0.5 if two_sided else np.maximum(facing, 0) + _GRAZING
            sky += weight * self._reaches(points + _LIFT * normals * (not two_sided), direction)
            total += weight
        random = np.random.default_rng(11)
        keys = _KEY / np.linalg.norm(_KEY) + random.normal(size=(_NUM_KEY, 3)) * _KEY_SPREAD
        key = np.mean([self._reaches(points + _LIFT * normals, k) for k in keys], axis=0)
        return np.stack([sky / total, key], axis=1).astype(np.float32)

    def _reaches(self, points: FloatArray, direction: FloatArray) -> FloatArray:
        """(N,) 1 where nothing lies between a point and the far end of the direction."""
        view = _view_along(direction)
        self._framebuffer.use()
        self._framebuffer.clear(depth=1.0)
        self._context.enable_only(self._context.DEPTH_TEST)
        self._program["view"].write(view.T.astype("f4").tobytes())
        for array, texture in self._arrays:
            self._program["is_card"].value = int(texture is not None)
            if texture is not None:
                texture.use(0)
            array.render()
        depth = np.frombuffer(self._depth.read(), np.float32).reshape(_SIDE, _SIDE)
        place = points @ view[:3, :3].T + view[:3, 3]
        column, row = (((place[:, i] + 1) / 2 * _SIDE - 0.5) for i in (0, 1))
        bias = _BIAS / (2 * _REACH)
        total = np.zeros(len(points))
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            x = np.clip(np.floor(column).astype(int) + i, 0, _SIDE - 1)
            y = np.clip(np.floor(row).astype(int) + j, 0, _SIDE - 1)
            share = np.abs(1 - i - column % 1) * np.abs(1 - j - row % 1)
            total += share * (place[:, 2] * 0.5 + 0.5 <= depth[y, x] + bias)
        return total

    def release(self) -> None:
        """Give the buffers back."""
        for part in (self._framebuffer, self._depth, self._program):
            part.release()


def _view_along(direction: FloatArray) -> FloatArray:
    """The (4, 4) orthographic matrix of somebody far away in that direction."""
    back = direction / np.linalg.norm(direction)
    right = np.cross([0.0, 1.0, 0.01], back)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(back, right), -back])
    view = np.eye(4)
    view[:3, :3] = axes / _REACH
    view[:3, 3] = -(axes @ _CENTRE) / _REACH
    return view
