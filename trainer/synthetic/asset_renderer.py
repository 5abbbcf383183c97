"""Drawing a person made of assets: a program for each material, and soft edges of hair."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from trainer.synthetic.baked_light import bake_light
from trainer.synthetic.frame_sampling import FrameParameters
from trainer.synthetic.gl_renderer import FloatArray, GLRenderer
from trainer.synthetic.person import Batch

_OPAQUE, _SOLID, _EDGES = 0, 1, 2
"""passes of the shaders"""
_FLOAT_BYTES = 4


@dataclass(frozen=True, eq=False)
class _LoadedBatch:
    """A batch on the graphics side."""

    batch: Batch
    moving: Any
    """buffer of position and normal of every corner"""
    order: Any
    """buffer of corners, in the order in which they are drawn"""
    array: Any
    textures: dict[str, Any]


class AssetRenderer(GLRenderer):
    """Draws one person made of assets, in batches of one material each."""

    def _prepare(self) -> None:
        lit = bake_light(self._context, self._person)
        self._programs: dict[str, Any] = {}
        self._batches = [self._load(batch, lit) for batch in self._person.batches]

    def _load(self, batch: Batch, lit: FloatArray) -> _LoadedBatch:
        person, chosen = self._person, slice(batch.start, batch.start + batch.count)
        corners = self._faces[chosen].ravel()
        assert person.uv is not None
        still = [person.rest[corners], person.uv[chosen].reshape(-1, 2), lit[corners]]
        kind = np.stack([person.face_part, person.face_style, person.face_object], axis=1)
        moving = self._context.buffer(reserve=len(corners) * 6 * _FLOAT_BYTES)
        order = self._buffer(np.arange(len(corners)), "u4")
        array = self._context.vertex_array(
            self._program_of(batch.material),
            [
                (moving, "3f 3f", "position", "normal"),
                (self._buffer(np.concatenate(still, 1), "f4"), "3f 2f 2f", "rest", "uv", "sky"),
                (self._buffer(np.repeat(kind[chosen], 3, axis=0), "i4"), "3i", "kind"),
            ],
            index_buffer=order,
            skip_errors=True,
        )
        textures = {name: self._texture(pixels) for name, pixels in batch.textures.items()}
        return _LoadedBatch(batch, moving, order, array, textures)

    def _buffer(self, values: Any, kind: str) -> Any:
        return self._context.buffer(np.ascontiguousarray(values, dtype=kind).tobytes())

    def _texture(self, pixels: Any) -> Any:
        texture = self._context.texture(pixels.shape[1::-1], 4, pixels[::-1].tobytes())
        texture.build_mipmaps()
        texture.filter = (self._context.LINEAR_MIPMAP_NEAREST, self._context.LINEAR)
        return texture

    def _program_of(self, material: str) -> Any:
        if material not in self._programs:
            folder = files("trainer.synthetic") / "shaders"
            names = ("asset.vert", "light.glsl", f"asset_{material}.frag")
            vertex, *fragment = ((folder / name).read_text() for name in names)
            self._programs[material] = self._context.program(
                vertex_shader=vertex, fragment_shader="\n".join(["#version 330", *fragment])
            )
        return self._programs[material]

    def _render(
        self,
        frame_parameters: FrameParameters,
        vertices: FloatArray,
        normals: FloatArray,
        matrix: FloatArray,
    ) -> None:
        moving = np.concatenate([vertices, normals], axis=1).astype(np.float32)
        shared = {
            "lid_points": [tuple(map(float, p)) for p in vertices[self._person.lid_vertices]],
            "eye_at": tuple(map(float, frame_parameters.camera.centre)),
        }
        for each in self._batches:
            faces = self._faces[each.batch.start : each.batch.start + each.batch.count]
            each.moving.write(moving[faces.ravel()].tobytes())
            if each.batch.has_edges:
                order = _far_first(vertices, faces, frame_parameters)
                each.order.write((order[:, None] * 3 + np.arange(3)).astype("u4").tobytes())
        context = self._context
        context.enable_only(context.DEPTH_TEST)
        for each in self._batches:
            self._draw_batch(each, _SOLID if each.batch.has_edges else _OPAQUE, matrix, shared)
        context.enable(context.BLEND)
        context.blend_func = context.ONE, context.ONE_MINUS_SRC_ALPHA
        self._framebuffer.depth_mask = False
        for each in self._batches:
            if each.batch.has_edges:
                self._draw_batch(each, _EDGES, matrix, shared)
        self._framebuffer.depth_mask = True

    def _draw_batch(
        self, each: _LoadedBatch, which: int, matrix: FloatArray, shared: dict[str, Any]
    ) -> None:
        program = self._programs[each.batch.material]
        program["view_projection"].write(matrix.T.astype("f4").tobytes())
        units = {name: unit for unit, name in enumerate(each.textures)}
        for name, texture in each.textures.items():
            texture.use(units[name])
        for name, value in {**shared, **each.batch.settings, **units, "pass_kind": which}.items():
            if name in program:
                program[name].value = value
        each.array.render()


def _far_first(vertices: FloatArray, faces: Any, frame_parameters: FrameParameters) -> Any:
    """The order (F,) of triangles from the farthest to the nearest."""
    offset = vertices[faces].mean(axis=1) - frame_parameters.camera.centre.astype(np.float32)
    return np.argsort(-(offset**2).sum(axis=1), kind="stable")
