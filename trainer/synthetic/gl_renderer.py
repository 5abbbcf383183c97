"""Drawing the made-up person off screen with OpenGL."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import pose_head
from pegasus_runtime.head.mesh_normals import vertex_normals
from pegasus_runtime.head.parts import WORN_PARTS
from trainer.synthetic.attributes import appearance_of
from trainer.synthetic.frame_sampling import FrameParameters
from trainer.synthetic.person import Person

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.floating[Any]]
_NEAR, _FAR = 0.5, 30.0
"""Depths about the head at any distance it is drawn from: a nearer first makes depth coarser
behind."""
_SHADERS = (
    "person.vert",
    "noise.glsl",
    "skin.glsl",
    "eye.glsl",
    "hair.glsl",
    "person.frag",
)


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """One frame as bytes of the asked size (S, S)."""

    image: ByteArray
    """(S, S, 3) over white"""
    mask: ByteArray
    """(S, S) coverage"""
    mask_object: ByteArray
    """(S, S) coverage of the replaced attribute where it is visible"""
    normal: ByteArray
    """(S, S, 3) world normals n·0.5+0.5, 128 outside"""
    semantic: ByteArray
    """(S, S) index into part_names; their number outside"""


def open_context() -> Any:
    """An OpenGL context without a window.

    Raises:
        InvalidInput: this machine has no EGL.
    """
    import moderngl

    settings: dict[str, Any] = {"backend": "egl"}  # the library's own hint says dict, wrongly
    try:
        return moderngl.create_context(standalone=True, require=330, **settings)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput(f"capture: no off-screen OpenGL ({reason}); install libegl1.") from None


class GLRenderer:
    """Draws one person; use it in the thread that made it and release it."""

    def __init__(self, person: Person, image_size: int, supersampling: int = 2):
        self._person, self._size = person, image_size
        self._context = open_context()
        self._side = image_size * supersampling
        self._faces = person.head.faces.numpy()
        self._prepare()
        self._targets = [self._context.texture((self._side,) * 2, 4) for _ in range(3)]
        depth = self._context.depth_renderbuffer((self._side,) * 2)
        self._framebuffer = self._context.framebuffer(self._targets, depth)

    def __enter__(self) -> GLRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the context back."""
        self._context.release()

    def draw(self, frame_parameters: FrameParameters) -> RenderedFrame:
        """The person at that moment."""
        vertices = posed_vertices(self._person, frame_parameters)
        normals = vertex_normals(vertices, self._faces)
        self._framebuffer.use()
        self._framebuffer.clear(0.0, 0.0, 0.0, 0.0)
        matrix = clip_matrix(frame_parameters.camera)
        self._render(frame_parameters, vertices, normals, matrix)
        colour, normal, label = (self._read(target) for target in self._targets)
        return self._finish(colour, normal, label)

    def _prepare(self) -> None:
        """Make programs and buffers."""
        self._program = self._build_program()
        self._set_uniforms()
        self._moving = self._context.buffer(reserve=self._faces.size * 24)
        self._array = self._vertex_array()

    def _render(
        self,
        frame_parameters: FrameParameters,
        vertices: FloatArray,
        normals: FloatArray,
        matrix: FloatArray,
    ) -> None:
        """Draw into the framebuffer, which is empty."""
        corners = np.concatenate([vertices, normals], axis=1)[self._faces.ravel()]
        self._moving.write(np.ascontiguousarray(corners, dtype="f4").tobytes())
        self._program["view_projection"].write(matrix.T.astype("f4").tobytes())
        self._program["eye_at"].value = tuple(float(c) for c in frame_parameters.camera.centre)
        self._context.enable_only(self._context.DEPTH_TEST)
        self._array.render()

    def _read(self, texture: Any) -> ByteArray:
        pixels = np.frombuffer(texture.read(), np.uint8).reshape(self._side, self._side, 4)
        return pixels[::-1]

    def _finish(self, colour: ByteArray, normal: ByteArray, label: ByteArray) -> RenderedFrame:
        coverage = self._shrink(colour[..., 3:])
        image = self._shrink(colour[..., :3]) + 255.0 - coverage
        around = self._shrink(normal[..., :3]) + 128.0 * (1 - coverage / 255.0)
        step = self._side // self._size
        nearest = label[step // 2 :: step, step // 2 :: step]
        outside = len(self._person.part_names)
        semantic = np.where(nearest[..., 3] > 0, nearest[..., 0], outside)
        replaced = self._shrink(label[..., 1:2])
        parts = (image, coverage[..., 0], replaced[..., 0], around, semantic)
        return RenderedFrame(*(np.clip(np.rint(part), 0, 255).astype(np.uint8) for part in parts))

    def _shrink(self, pixels: ByteArray) -> FloatArray:
        step = self._side // self._size
        total = np.zeros((self._size, self._size, pixels.shape[2]), np.float32)
        for row in range(step):
            for column in range(step):
                total += pixels[row::step, column::step]
        return total / step**2

    def _build_program(self) -> Any:
        folder = files("trainer.synthetic") / "shaders"
        vertex, *fragment = ((folder / name).read_text() for name in _SHADERS)
        return self._context.program(
            vertex_shader=vertex, fragment_shader="\n".join(["#version 330", *fragment])
        )

    def _set_uniforms(self) -> None:
        names = self._person.part_names
        centre = self._person.head.joint_regressor @ self._person.head.template
        settings = appearance_of(self._person.attribute) | {
            "part_ids": [names.index(n) for n in ("eyes", "teeth", "tongue", "mouth", "eyelids")],
            "first_piece": names.index(WORN_PARTS[0]),
            "brow_part": names.index("eyebrows"),
            "nose_part": names.index("nose"),
            "eye_centre": tuple(abs(float(c)) for c in centre[3]),
        }
        for name, value in settings.items():
            if name in self._program:
                self._program[name].value = value

    def _vertex_array(self) -> Any:
        person, corners = self._person, self._faces.ravel()
        rest = np.concatenate([person.rest, person.coordinates, _lip_mask(person)], axis=1)
        kind = np.stack([person.face_part, person.face_style, person.face_object], axis=1)
        still = self._context.buffer(rest[corners].astype("f4").tobytes())
        kinds = self._context.buffer(np.repeat(kind, 3, axis=0).astype("i4").tobytes())
        return self._context.vertex_array(
            self._program,
            [
                (self._moving, "3f 3f", "position", "normal"),
                (still, "3f 3f 1f", "rest", "strand", "lips"),
                (kinds, "3i", "kind"),
            ],
        )


def posed_vertices(person: Person, frame_parameters: FrameParameters) -> FloatArray:
    """The person's vertices (V, 3) in the world."""
    parameters = (person.shape, frame_parameters.expression, frame_parameters.pose)
    with torch.inference_mode():
        posed = pose_head(person.head, *(torch.from_numpy(value) for value in parameters))
    return np.asarray(posed.vertices.numpy(), np.float32)


def clip_matrix(camera: Camera) -> FloatArray:
    """The (4, 4) matrix from world columns to OpenGL clip space (whose x grows to the right)."""
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = camera.rotation.T, camera.translation
    k = camera.intrinsics
    depth = (_FAR + _NEAR) / (_FAR - _NEAR), -2 * _FAR * _NEAR / (_FAR - _NEAR)
    clip = np.array(
        [[-k[0, 0], 0, -k[0, 2], 0], [0, k[1, 1], k[1, 2], 0], [0, 0, *depth], [0, 0, 1, 0]]
    )
    return np.asarray(clip @ view, np.float32)


def _lip_mask(person: Person) -> FloatArray:
    """(V, 1): 1 on vertices all of whose faces are lips, less towards the border."""
    faces, count = person.head.faces.numpy(), len(person.rest)
    lips = (person.face_part == person.part_names.index("lips")).repeat(3)
    hits = np.bincount(faces.ravel(), lips, count)
    every = np.bincount(faces.ravel(), minlength=count)
    return np.asarray(hits / np.maximum(every, 1), np.float32)[:, None]
