"""What joins the window's widgets to the editor behind them: signals in, setters out."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QDialog

from app.controllers.editor import Editor
from app.main_window import MainWindow
from app.rendering.request import Picture, Pixels, middle_square, on_host
from app.state.app_dirs import home_folder
from app.state.controls import Gaze, attribute_title, readable
from app.state.export_settings import ExportSettings
from app.state.jobs import Job
from app.state.project import AvatarNotFound, OtherAvatar
from app.state.view import View
from app.widgets.export_dialog import ExportDialog
from app.widgets.message_dialog import MessageDialog
from app.widgets.number_field import NumberField
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.avatar.seen_sides import SeenSides
from pegasus_runtime.export.display import over
from pegasus_runtime.files import suggested_name
from pegasus_runtime.head.gaze_range import gaze_range
from pegasus_runtime.head.mouth_closing import mouth_closing
from pegasus_runtime.parameters import AttributeBlend


class Bindings:
    """Lives as long as the window."""

    def __init__(self, window: MainWindow, editor: Editor) -> None:
        self.window, self.editor = window, editor
        self.export_dialog: ExportDialog | None = None
        self._export_avatar: Avatar | None = None
        self._export_job: Job | None = None
        self._has_panels = False
        self._num_opened = 0
        self._connect_document()
        self._connect_viewport()
        self._connect_panels()
        self._connect_activity()
        self._show_display()

    def _connect_document(self) -> None:
        document, live = self.editor.document, self.editor.live
        document.avatar_changed.connect(self._show_avatar)
        document.face_changed.connect(self._show_face)
        document.view_changed.connect(lambda: self.window.scene.set_view(document.view))
        document.display_changed.connect(self._show_display)
        document.history.changed.connect(self._show_history)
        self._show_history()
        live.picture_ready.connect(self._show_picture)
        live.device_known.connect(self._show_device)
        self.editor.thumbnails.ready.connect(self._show_thumbnail)
        self.editor.avatar_loader.failed.connect(self._show_open_error)

    def _connect_viewport(self) -> None:
        document, viewport = self.editor.document, self.window.viewport
        viewport.orbited.connect(lambda r, d: document.set_view(document.view.orbited(r, d)))
        viewport.panned.connect(lambda r, d: document.set_view(document.view.panned(r, d)))
        viewport.zoomed.connect(lambda f: document.set_view(document.view.zoomed(f)))
        viewport.gesture_ended.connect(document.end_gesture)
        viewport.size_changed.connect(lambda: self.editor.live.set_size(*viewport.size_px))

    def _connect_panels(self) -> None:
        document, window = self.editor.document, self.window
        window.attributes.worn.connect(self._wear)
        window.expression.changed.connect(document.set_expression)
        window.expression.pose_changed.connect(document.set_pose)
        window.expression.limits_lifted.connect(self._lift_limits)
        window.expression.reset_asked.connect(document.reset_expression)
        window.pose.changed.connect(document.set_pose)
        window.pose.reset_asked.connect(document.reset_pose)
        window.history.state_chosen.connect(document.go_to)
        for panel in (window.attributes, window.expression, window.pose, window.scene):
            panel.gesture_ended.connect(document.end_gesture)
        window.scene.view_changed.connect(document.set_view)
        window.scene.display_changed.connect(self.editor.choose_display)
        window.scene.frame_asked.connect(document.frame_head)
        window.scene.reset_asked.connect(document.reset_view)

    def _connect_activity(self) -> None:
        activity, panel = self.editor.activity, self.window.activity
        preparation, notice = self.editor.preparation, self.window.preparation
        preparation.advanced.connect(notice.show_progress)
        preparation.ended.connect(notice.hide)
        activity.job_added.connect(panel.add_job)
        activity.job_added.connect(self._show_activity)
        activity.job_advanced.connect(panel.advance_job)
        activity.job_ended.connect(panel.remove_job)
        activity.line_added.connect(panel.add_line)
        activity.line_added.connect(lambda _, text: self.window.message.setText(text))
        panel.cancel_asked.connect(self.editor.exporter.cancel)
        exporter = self.editor.exporter
        exporter.frame_done.connect(self._show_export_frame)
        exporter.finished.connect(lambda job, out: self._end_export(job, f"Wrote {out}"))
        exporter.cancelled.connect(
            lambda job: self._end_export(job, "Cancelled; nothing was written.")
        )
        exporter.failed.connect(self._show_export_error)

    def show_message(self, title: str, text: str, details: str = "") -> MessageDialog:
        """Tell what went wrong, without waiting for an answer."""
        dialog = MessageDialog(title, text, details, self.window)
        dialog.open()
        return dialog

    def show_export(self) -> None:
        """The dialog of the turntable film."""
        avatar, latest = self.editor.document.avatar, self.editor.live.latest
        if avatar is None or (self.export_dialog is not None and self.export_dialog.isVisible()):
            return
        folder = Path(self.editor.preferences.last_folder or home_folder())
        if self.export_dialog is None or self._export_avatar is not avatar:
            if self.export_dialog is not None:
                self.export_dialog.deleteLater()
            self.export_dialog = ExportDialog(folder, suggested_name(avatar.name), self.window)
            if self.editor.document.export is not None:
                self.export_dialog.set_settings(self.editor.document.export)
            self.export_dialog.export_asked.connect(self._start_export)
            self.export_dialog.cancel_asked.connect(self._cancel_export)
            self._export_avatar = avatar
        # What was filled in before is still there.
        if latest is not None and not self.export_dialog.is_running:
            square = middle_square(on_host(latest.pixels))
            self.export_dialog.set_preview(over(square, self.editor.document.display.backdrop()))
        self.export_dialog.open()

    def save_picture(self, out: Path) -> None:
        """Write the picture of the viewport; PNG keeps transparency if the checker is shown."""
        viewport = self.window.viewport
        width, height = viewport.size_px
        self.editor.exporter.picture(out, (height, width), viewport.devicePixelRatioF())

    def _show_activity(self, job: Job) -> None:
        if job.cancellable:
            self.window.activity_dock.show()

    def _wear(self, category: str, wear: AttributeBlend | None) -> None:
        worn = attribute_title(wear.name) if wear else "source"
        self.editor.document.wear(category, wear, f"{readable(category)}: {worn}")

    def _show_avatar(self) -> None:
        avatar, num_opened = self.editor.document.avatar, self.editor.document.num_opened
        is_newer_state, self._num_opened = num_opened == self._num_opened, num_opened
        if not is_newer_state:
            for field in self.window.findChildren(NumberField):
                # What was typed for one person is not to count for the next.
                field.drop_typed()
        if avatar is None:
            self.window.attributes.clear()
            self.window.points.clear()
            self.window.speed.clear()
            return
        self.window.show_viewport()
        if is_newer_state:
            # The galleries and sliders are the same, and somebody may be typing in one.
            self._show_limits()
        else:
            self._fill_panels()
        self.window.scene.set_usual_distance(View.framing(avatar).distance)
        seen = SeenSides.of(avatar.provenance)
        self.window.scene.set_note(seen.note if seen else "")
        self.window.points.setText(f"{avatar.num_points:,} points")

    def show_panels(self) -> None:
        """Show galleries and sliders, which the first picture does not wait for."""
        if not self._has_panels:
            self._has_panels = True
            self._fill_panels()
            self._show_face()

    def _fill_panels(self) -> None:
        avatar = self.editor.document.avatar
        if avatar is None or not self._has_panels:
            return
        categories = {name: avatar.attributes_of(name) for name in avatar.categories}
        self.window.attributes.set_categories(categories)
        self.window.expression.set_names(avatar.head.expression_names)
        self._show_limits()

    def _show_limits(self) -> None:
        """Let the sliders end where the open avatar stops being a face, and go back to it at
        rest."""
        avatar = self.editor.document.avatar
        if avatar is None or not self._has_panels:
            return
        closing = mouth_closing(avatar.head)
        coupled = None if closing is None else (closing.index, closing.at)
        self.window.expression.set_limits(avatar.expression_ranges, coupled)
        rest = self.editor.document.neutral
        self.window.expression.set_rest(rest.expression, rest.pose)
        self.window.pose.set_rest(rest.pose)
        self._lift_limits(self.window.expression.lift.isChecked())

    def _lift_limits(self, lifted: bool) -> None:
        document = self.editor.document
        document.couples_mouth = not lifted
        if lifted or document.avatar is None:
            self.window.pose.set_gaze(Gaze())
        else:
            found = gaze_range(document.avatar.head)
            self.window.pose.set_gaze(Gaze(found.up_deg, found.down_deg, found.sideways_deg))

    def _show_thumbnail(self, category: str, name: str, pixels: Pixels) -> None:
        self.show_panels()
        self.window.attributes.set_thumbnail(category, name, pixels)

    def _show_face(self) -> None:
        face = self.editor.document.face
        self.window.attributes.set_worn(face.attributes)
        self.window.expression.set_values(face.expression, face.pose)
        self.window.pose.set_values(face.pose)

    def _show_display(self) -> None:
        display = self.editor.document.display
        self.window.viewport.set_display(display)
        self.window.scene.set_display(display)

    def _show_picture(self, picture: Picture) -> None:
        self.window.viewport.set_picture(picture.pixels)
        self.window.speed.setText(_speed(picture.seconds))
        total = self.editor.document.avatar.num_points if self.editor.document.avatar else 0
        of_all = f"{picture.num_points:,} of {total:,}" if picture.is_draft else f"{total:,}"
        self.window.points.setText(f"{of_all} points")

    def _show_device(self, device: str) -> None:
        self.window.device.setText("GPU" if device.startswith("cuda") else "CPU")
        self.window.device.setToolTip(f"Pictures are rendered on {device}")

    def _show_history(self) -> None:
        history = self.editor.document.history
        labels = [entry.label for entry in history.entries]
        self.window.history.set_history(labels, history.position)

    def _show_open_error(self, source: str, error: BaseException) -> None:
        if isinstance(error, AvatarNotFound | OtherAvatar):
            return  # a question of its own follows
        known = isinstance(error, (ValueError, OSError))
        text = str(error) if known else f"{source} could not be opened."
        self.show_message("Open avatar", text, "" if known else repr(error))

    def _start_export(self, settings: ExportSettings) -> None:
        if self.export_dialog is not None and self._may_replace(settings.out):
            self.editor.document.set_export(settings)
            self._export_job = self.editor.exporter.film(settings)
            self.export_dialog.show_started()

    def _may_replace(self, out: Path) -> bool:
        from PySide6.QtWidgets import QMessageBox

        if not out.exists():
            return True
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
        question = f"{out.name} exists. Replace it?"
        # Enter, pressed once too often, keeps the old film.
        answer = QMessageBox.question(
            self.export_dialog, "Export turntable", question, yes | no, no
        )
        return answer == yes

    def _cancel_export(self) -> None:
        if self._export_job is not None:
            self.editor.exporter.cancel(self._export_job)

    def _show_export_frame(self, job: Job, image: Pixels) -> None:
        if self.export_dialog is not None and job is self._export_job:
            self.export_dialog.show_progress(job)
            self.export_dialog.set_preview(image)

    def _end_export(self, job: Job, text: str) -> None:
        if self.export_dialog is not None and job is self._export_job:
            self.export_dialog.show_ended(text)

    def _show_export_error(self, job: Job, error: BaseException) -> None:
        if (
            job is self._export_job
            and self.export_dialog is not None
            and self._is_open(self.export_dialog)
        ):
            self.export_dialog.show_ended(str(error))
        else:
            self.show_message(job.title, str(error))

    @staticmethod
    def _is_open(dialog: QDialog) -> bool:
        return dialog.isVisible()


def _speed(seconds: float) -> str:
    """How long a picture took; of pictures that can follow each other, also how fast they do."""
    rate = min(999.0, 1 / max(seconds, 1e-6))
    return f"{seconds * 1000:.0f} ms" + (f"  ·  {rate:.0f} fps" if rate >= 10 else "")
