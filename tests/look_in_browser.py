"""Open a page in Qt's browser (Chromium), without a network, and print what happens as JSON.

Run by tests/e2e/test_report_page.py with a Python that has PySide6's QtWebEngineWidgets, which the
program itself does not need: ``python look_in_browser.py PAGE OUT.png WIDTH HEIGHT light|dark``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"  # root, and containers, have none
dark = ["--blink-settings=preferredColorScheme=0"] if sys.argv[5] == "dark" else []
flags = ["--disable-gpu", "--proxy-server=127.0.0.1:9", "--force-device-scale-factor=1", *dark]
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = " ".join(flags)

from PySide6.QtCore import QTimer, QUrl  # noqa: E402
from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineUrlRequestInterceptor  # noqa: E402
from PySide6.QtWebEngineWidgets import QWebEngineView  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

_ASK = """(() => {
  const heads = document.querySelectorAll("thead button");
  if (heads.length) heads[1].click();
  const images = Array.from(document.images);
  const seen = (e) => e.getBoundingClientRect();
  return JSON.stringify({
    title: document.title,
    sections: Array.from(document.querySelectorAll("section")).map((s) => s.id),
    images: images.length,
    broken: images.filter((i) => !i.complete || !i.naturalWidth).length,
    sorted: document.querySelectorAll("th[aria-sort]").length,
    too_wide: document.documentElement.scrollWidth - innerWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    ground: getComputedStyle(document.body).backgroundColor,
    height: document.documentElement.scrollHeight,
    empty_plots: Array.from(document.querySelectorAll("svg")).filter((s) => !seen(s).width).length,
  });
})()"""


class _Page(QWebEnginePage):
    said: list[str] = []

    def javaScriptConsoleMessage(self, level, message, line, source) -> None:  # type: ignore[no-untyped-def]
        self.said.append(f"{message} ({line})")


class _Asked(QWebEngineUrlRequestInterceptor):
    urls: list[str] = []

    def interceptRequest(self, info) -> None:  # type: ignore[no-untyped-def]
        if info.requestUrl().scheme() not in ("data", "file"):
            self.urls.append(info.requestUrl().toString())


def main() -> None:
    page_path, picture, width, height = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    app = QApplication(sys.argv[:1])
    view, page, asked = QWebEngineView(), _Page(), _Asked()
    page.profile().setUrlRequestInterceptor(asked)
    view.setPage(page)
    view.resize(width, height)
    view.show()

    def done(answer: str) -> None:
        found = json.loads(answer) | {"console": page.said, "asked": asked.urls}
        print(json.dumps(found))
        QTimer.singleShot(1500, save)

    def save() -> None:
        shown = view.grab().toImage()
        step = max(height // 100, 1)
        colours = {shown.pixel(width // 2, y) for y in range(0, shown.height(), step)}
        if len(colours) < 2:  # not painted yet
            QTimer.singleShot(500, save)
            return
        shown.save(picture)
        app.quit()

    page.loadFinished.connect(lambda _: page.runJavaScript(_ASK, done))
    page.load(QUrl.fromLocalFile(str(Path(page_path).resolve())))
    QTimer.singleShot(120_000, app.quit)
    app.exec()


main()
