"""Files that two folders share, so that what was made once is there twice without its room.

Steps replace files and never write into them: what one folder changes, the other does not see.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pegasus_runtime.errors import InvalidInput


def link(source: Path, target: Path) -> None:
    """Have a file, or a folder of files, in another place as well; hidden ones are left out.

    Raises:
        InvalidInput: the disk is full, or the place cannot be written.
    """
    try:
        if not source.is_dir():
            _link_file(source, target)
            return
        target.mkdir(parents=True, exist_ok=True)
        for path in source.iterdir():
            if not path.name.startswith(".") and path.is_file():
                _link_file(path, target / path.name)
    except OSError as error:
        raise InvalidInput(
            f"{target}: cannot be written ({error.strerror or error}); free some space or choose "
            "another folder."
        ) from None


def _link_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or a file system without links.
        partial = target.with_name(f".{target.name}.partial")
        try:
            shutil.copy2(source, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
