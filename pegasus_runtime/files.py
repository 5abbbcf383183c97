"""Writing files and folders: nothing half-written, and nothing replaced that is not ours.

1. `output_file` and `output_folder` say where a name leads, and refuse what is no place for output.
   Whoever works long before it writes asks them first.
2. `replace_file` and `replace_folder` write beside the place under a hidden name, then rename.
3. What is written is on the disk before it gets its name, and the name before the call returns: a
   power cut leaves the old or the new, whole.
4. That name tells whose it is. What a killed process has left is removed by `sweep_leftovers`,
   before the next write beside it and when the editor starts.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.process_identity import ProcessIdentity, this_process

AnyPath = str | os.PathLike[str]
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link that leads nowhere",
}
_PARTIAL = re.compile(
    r"\.pegasus-(?P<host>[0-9a-f]{8})-(?P<pid>\d{1,9})-(?P<started>\d{1,15})-[0-9a-f]{8}"
    r"(?P<ending>-old-(?P<old>.+)|\.\w+)?",
    re.DOTALL,
)
_MAX_SUGGESTED = 80
"""characters of a suggested name: with an ending it fits every file system"""


def expanded(text: str) -> Path:
    """A path as a person typed it, with ~ replaced by the home that it means.

    Raises:
        InvalidInput: it is the home of somebody who is not known here.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InvalidInput(
            f"{text}: no home of that name is known here; write the whole path."
        ) from None


def output_file(path: AnyPath) -> Path:
    """Where a file of that name is to be written: the file itself, or the one a link leads to.

    Raises:
        InvalidInput: it is empty or impossible as a name, or leads to something that is no regular
            file or is write-protected; or its folder is missing or cannot be written.
    """
    target = _resolved(path)
    mode = _mode_of(path, target)
    if mode is not None and not stat.S_ISREG(mode):
        raise InvalidInput(f"{path}: is {_kind(mode)}; give the name of a file.")
    if mode is not None and not os.access(target, os.W_OK):
        raise InvalidInput(f"{path}: is write-protected; choose another name.")
    _require_folder(path, target)
    return target


def output_folder(path: AnyPath, own: Sequence[str]) -> Path:
    """Where a folder of that name is to be written, which may be there if nothing in it is lost.

    Args:
        path: the folder, or a link to it.
        own: patterns of what a folder that is there may hold: names of files, and names of folders
            with a slash behind them.

    Raises:
        InvalidInput: it is empty or impossible as a name, or there is something that is not ours;
            or its own folder is missing or cannot be written.
    """
    target = _resolved(path)
    mode = _mode_of(path, target)
    if mode is not None and not stat.S_ISDIR(mode):
        kind = "a file" if stat.S_ISREG(mode) else _kind(mode)
        raise InvalidInput(f"{path}: is {kind}, not a folder; choose another name.")
    _require_folder(path, target)
    if mode is None:
        return target
    if os.path.ismount(target) or target == Path.cwd():
        raise InvalidInput(f"{path}: is in use and cannot be replaced; name a folder in it.")
    try:
        with os.scandir(target) as entries:
            foreign = next((e.name for e in entries if not _is_own(e, own)), None)
    except OSError as error:
        raise InvalidInput(_unwritable(path, error)) from error
    if foreign is not None:
        raise InvalidInput(
            f"{path}: the folder holds other files ({_shortened(foreign)}); name a new or an "
            "empty one."
        )
    return target


@contextmanager
def replace_file(path: AnyPath) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block succeeds.

    The temporary file keeps the suffix, so that writers which choose a format by it work. When the
    block raises, whatever it wrote is removed and ``path`` is as it was. A link stays a link, and a
    file keeps its permissions.

    Raises:
        InvalidInput: see `output_file`; or the disk is full.
    """
    target = output_file(path)
    sweep_leftovers(target.parent)
    partial = _beside(target, target.suffix)
    try:
        yield partial
        if partial.exists():
            _take_permissions(target, partial)
            _to_disk(partial)
            partial.replace(output_file(path))
            _to_disk(target.parent)
    except OSError as error:
        _refuse_unwritable(path, error)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: AnyPath, own: Sequence[str]) -> Iterator[Path]:
    """Yield a new empty folder beside ``path`` that takes its place when the block succeeds.

    Args:
        path: the folder, or a link to it.
        own: see `output_folder`.

    Raises:
        InvalidInput: see `output_folder`; or the disk is full.
    """
    target = output_folder(path, own)
    sweep_leftovers(target.parent)
    partial = _beside(target, "")
    try:
        partial.mkdir()
        yield partial
        _take_permissions(target, partial)
        for written in sorted(partial.rglob("*")):
            _to_disk(written)
        _to_disk(partial)
        _swap_folder(partial, output_folder(path, own))
        _to_disk(target.parent)
    except OSError as error:
        _refuse_unwritable(path, error)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def append_line(path: AnyPath, line: bytes) -> None:
    """Append to a file; the line is on the disk when this returns.

    Raises:
        OSError: the file cannot be written.
    """
    with open(path, "ab") as stream:
        stream.write(line)
        stream.flush()
        _sync(stream.fileno())


def sweep_leftovers(folder: Path) -> None:
    """Remove what processes of ours that were killed have left in a folder.

    A folder that was moved aside and whose place is still empty is put back.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _PARTIAL.fullmatch(entry.name)
            if found is None or not _owner_is_dead(found):
                continue
            leftover = Path(entry.path)
            with suppress(OSError):
                if found["old"] and not os.path.lexists(folder / found["old"]):
                    leftover.rename(folder / found["old"])
                elif entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink()


def suggested_name(name: str) -> str:
    """A name from a file, which may hold anything, as part of a file name on every system."""
    plain = re.sub(r"[^\w .,()+-]+", "_", name).strip(" ._")[:_MAX_SUGGESTED].strip(" ._")
    return "avatar" if not plain or _is_reserved(plain) else plain


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a power cut."""
    if path.is_dir():
        if os.name == "nt":
            return  # a folder cannot be opened there, and its names are in a journal
        flags = os.O_RDONLY
    else:
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0)
    try:
        number = os.open(path, flags)
    except PermissionError:
        return  # made unwritable, or unreadable, by whoever wrote it
    try:
        _sync(number)
    finally:
        os.close(number)


def _sync(number: int) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        # Some network folders have no such call; what is lost is said by the other errors.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _is_own(entry: os.DirEntry[str], own: Sequence[str]) -> bool:
    if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
        return False
    name = f"{entry.name}/" if entry.is_dir() else entry.name
    return any(fnmatchcase(name, pattern) for pattern in own)


def _swap_folder(partial: Path, target: Path) -> None:
    if not target.exists():
        partial.rename(target)
        return
    old = _beside(target, f"-old-{target.name}")
    try:
        target.rename(old)
        partial.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(target: Path, ending: str) -> Path:
    # Nothing of the target's name: it may be as long as a name can be, and hold what encoders take
    # for a pattern or a protocol.
    us = this_process()
    owner = f"{_short_hash(us.host)}-{us.pid}-{us.started * 1000:.0f}"
    name = f".pegasus-{owner}-{uuid.uuid4().hex[:8]}"
    return target.with_name(name + ending if _PARTIAL.fullmatch(name + ending) else name)


def _owner_is_dead(found: re.Match[str]) -> bool:
    us = this_process()
    # Processes of other machines, and of other containers, cannot be asked after.
    if found["host"] != _short_hash(us.host):
        return False
    return not ProcessIdentity(int(found["pid"]), int(found["started"]) / 1000, us.host).is_alive


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _take_permissions(old: Path, new: Path) -> None:
    with suppress(OSError):
        facts = old.stat()
        if hasattr(os, "chown"):
            with suppress(OSError):
                os.chown(new, facts.st_uid, facts.st_gid)
        new.chmod(stat.S_IMODE(facts.st_mode))


def _resolved(path: AnyPath) -> Path:
    text = os.fspath(path)
    if not text.strip():
        raise InvalidInput("the name of the output is empty; give the name of a file or a folder.")
    if "\0" in text:
        raise InvalidInput(
            f"{_shortened(text)!r}: no name can hold a NUL character; choose another."
        )
    if os.name == "nt" and _is_reserved(Path(text).name):
        raise InvalidInput(f"{text}: is a name of a device on Windows; choose another.")
    try:
        return Path(os.path.realpath(text))
    except OSError as error:
        raise InvalidInput(_unwritable(path, error)) from error


def _is_reserved(name: str) -> bool:
    stem = name.partition(".")[0].rstrip()
    return re.fullmatch(r"(?i)con|prn|aux|nul|(com|lpt)[0-9¹²³]", stem) is not None


def _mode_of(path: AnyPath, target: Path) -> int | None:
    """Type and permissions of what a name leads to, None where nothing is."""
    for follow, place in ((True, path), (False, target)):
        try:
            # Followed first: what /dev/stdout leads to has no name of its own.
            return os.stat(place, follow_symlinks=follow).st_mode
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise InvalidInput(_unwritable(path, error)) from error
    return None


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no regular file")


def _require_folder(path: AnyPath, target: Path) -> None:
    folder = target.parent
    if not folder.is_dir():
        raise InvalidInput(f"{path}: the folder {folder} does not exist; create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidInput(f"{path}: the folder {folder} cannot be written; choose another.")


def _refuse_unwritable(path: AnyPath, error: OSError) -> NoReturn:
    if isinstance(error, FileNotFoundError) and error.errno is None:
        # Nothing that the system says: our own line about a file that was to be read meanwhile.
        raise error
    raise InvalidInput(_unwritable(path, error)) from error


def _unwritable(path: AnyPath, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{path}: cannot be written ({reason}); choose another folder or free some space."


def _shortened(name: str) -> str:
    return name if len(name) <= _MAX_SUGGESTED else f"{name[:_MAX_SUGGESTED]}…"
