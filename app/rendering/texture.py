"""The picture on the graphics card."""

from __future__ import annotations

from importlib.resources import files

import moderngl

from app.rendering.request import AnyPixels
from app.rendering.texture_upload import TextureUpload
from app.state.display import Display
from pegasus_runtime.export.backdrop import GRADIENT_REACH


class PictureTexture:
    """Draws a picture over a background, filling the viewport.

    Belongs to the GL context that was current when it was made.
    """

    def __init__(self) -> None:
        self._context = moderngl.create_context(require=330)
        shaders = files("resources") / "shaders"
        self._program = self._context.program(
            vertex_shader=(shaders / "picture.vert").read_text(encoding="utf-8"),
            fragment_shader=(shaders / "picture.frag").read_text(encoding="utf-8"),
        )
        self._triangle = self._context.vertex_array(self._program, [])
        self._texture: moderngl.Texture | None = None
        self._upload = TextureUpload()

    def upload(self, pixels: AnyPixels) -> None:
        """Take over a picture (H, W, 4)."""
        size = (pixels.shape[1], pixels.shape[0])
        if self._texture is None or self._texture.size != size:
            self._release_texture()
            self._texture = self._context.texture(size, 4)
            self._texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
            self._texture.repeat_x = self._texture.repeat_y = False
        self._upload.write(self._texture, pixels)

    def draw(self, size_px: tuple[int, int], display: Display, scale: float) -> None:
        """Draw into the framebuffer that is bound; ``size_px`` is (width, height)."""
        target = self._context.detect_framebuffer()
        target.use()
        target.viewport = (0, 0, *size_px)
        self._context.disable(moderngl.BLEND | moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        backdrop = display.backdrop(scale)
        values = {
            "has_picture": self._texture is not None,
            "checker": backdrop.checker_px > 0,
            "first_colour": backdrop.first,
            "second_colour": backdrop.second,
            "size_px": size_px,
            "checker_px": backdrop.checker_px,
            "gradient_reach": GRADIENT_REACH,
        }
        for name, value in values.items():
            self._program[name] = value
        if self._texture is not None:
            self._texture.use(0)
        self._triangle.render(moderngl.TRIANGLES, vertices=3)

    def release(self) -> None:
        """Free what lies on the graphics card; the context must be current."""
        self._triangle.release()
        self._program.release()
        self._release_texture()

    def _release_texture(self) -> None:
        if self._texture is not None:
            # CUDA lets go of a texture while there is one.
            self._upload.release()
            self._texture.release()
            self._texture = None
