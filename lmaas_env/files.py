"""Files: read within limits, written whole or not at all, and never outside a folder that was named."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: folders are not locked
    fcntl: Any = None

TEMPORARY = ".unfinished-"  # names of files and folders that are being written start with this
LARGEST_TEXT = 2**24  # bytes, of a text file that people or commands write
LARGEST = 2**32  # bytes, of any other file
_DIGEST = 64  # characters of a SHA-256 in hexadecimal


def read_bytes(path: str | os.PathLike[str], kind: str = "", largest: int = LARGEST) -> bytes:
    """Return the content of a regular file.

    Parameters
    ----------
    path : path
    kind : str
        Of the file, for messages, such as "scenario".
    largest : int
        Bytes that it may have at most.

    Raises
    ------
    ValueError
        If it cannot be read, is a device, a pipe or a folder, or is too large; the message names it.
    """
    name = f"{kind} file {os.fspath(path)!r}".lstrip()
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            with open(path, "rb") as file:
                content = file.read(largest + 1) if status.st_size <= largest else b""
            if max(status.st_size, len(content)) <= largest:
                return content
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a null character in the name
        raise ValueError(f"{name} cannot be read: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{name} cannot be read: Is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{name} cannot be read: it is a device or a pipe")
    raise ValueError(f"{name} cannot be read: it has more than {largest:,} bytes")


def read_text(path: str | os.PathLike[str], kind: str = "", largest: int = LARGEST_TEXT) -> str:
    """Return the content of a UTF-8 file, without the byte-order mark that some editors write.

    Raises
    ------
    ValueError
        As `read_bytes`, or if it is not UTF-8.
    """
    content = read_bytes(path, kind, largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        name = f"{kind} file {os.fspath(path)!r}".lstrip()
        raise ValueError(f"{name} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file whole or not at all: into a temporary neighbour first, then renamed.

    Raises
    ------
    OSError
        If it cannot be written; it names the file.
    """
    target, temporary = Path(path), ""
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f"{TEMPORARY}{target.name[:100]}-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename, error.filename2 = os.fspath(target), None
        raise


def remove_leftovers(folder: Path) -> None:
    """Delete what writers that were killed have left in a folder, whose lock the caller holds; locked folders stay."""
    for left in [*folder.glob(f"{TEMPORARY}*")]:
        if not left.is_dir():
            left.unlink(missing_ok=True)
            continue
        with contextlib.suppress(BlockingIOError, FileNotFoundError), locked(left):
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def new_whole_folder(folder: Path) -> Generator[Path]:
    """Give a temporary folder that takes the place of a new one at the end, if nothing was raised.

    What earlier writers that were killed left beside it is deleted.
    """
    remove_leftovers(folder.parent)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=TEMPORARY))
    try:
        with locked(temporary):
            new = temporary / folder.name
            new.mkdir()
            yield new
            os.replace(new, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Generator[None]:
    """Lock a folder, for as long as the process lives at most.

    File systems without locks, and Windows, go on without one.

    Raises
    ------
    BlockingIOError
        If it is locked already.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def inside(folder: str | os.PathLike[str], name: str, field: str) -> Path:
    """Return the path that a file of a folder names, relative to the folder.

    Raises
    ------
    ValueError
        If it leads out of the folder, also by a link; a file from elsewhere must not reach other files.
    """
    root = Path(folder).absolute()
    try:
        path = root / name
        is_inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{field} = {name!r} cannot be a file: {error}") from error
    if not is_inside:
        raise ValueError(f"{field} = {name!r} must lie in the folder of the file that names it, {str(root)!r}")
    return path


def sealed(content: bytes) -> bytes:
    """Return bytes behind their digest, which `unsealed` checks."""
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unsealed(data: bytes) -> bytes:
    """Return the bytes behind a digest.

    Raises
    ------
    ValueError
        If there is no digest, or it is that of other bytes.
    """
    content = data[_DIGEST + 1 :]
    if data[: _DIGEST + 1] != sealed(content)[: _DIGEST + 1]:
        raise ValueError("it is damaged, its digest is that of other content")
    return content
