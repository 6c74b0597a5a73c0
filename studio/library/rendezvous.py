"""Where a home's keeper listens, the key to it, and proving to each other that both know it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from studio.library.files import write_whole
from studio.library.folders import Home

CHALLENGE_BYTES = 32


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Where the keeper `pid` listens: a socket's path or a pipe's name, and the shared key."""

    address: str
    key: bytes
    pid: int


def door_file(home: Home) -> Path:
    """Readable by its owner alone."""
    return home.keeper / "door.json"


def lock_file(home: Home) -> Path:
    """Held by the home's one living keeper."""
    return home.keeper / "keeper.lock"


def log_file(home: Home) -> Path:
    """What the keeper prints."""
    return home.logs / "keeper.log"


def new_door() -> Door:
    """A free address and a new key.

    A socket lies in a folder of its own below the temporary one, readable by its owner alone:
    the length of its path is limited to about 100 bytes, which a home folder may exceed.
    """
    if sys.platform == "win32":
        address = rf"\\.\pipe\finetune-studio-{secrets.token_hex(8)}"
    else:
        address = str(_short_folder() / "keeper")
    return Door(address=address, key=secrets.token_bytes(32), pid=os.getpid())


def write_door(home: Home, door: Door) -> None:
    """Publish the door."""
    write_whole(door_file(home), msgspec.json.encode(door), private=True)


def read_door(home: Home) -> Door | None:
    """The door that was published last; None where there is none."""
    try:
        return msgspec.json.decode(door_file(home).read_bytes(), type=Door)
    except (OSError, msgspec.MsgspecError):
        return None


def remove_door(home: Home) -> None:
    """Take down the door and the folder of its socket; also one that a dead keeper left."""
    door = read_door(home)
    door_file(home).unlink(missing_ok=True)
    if door is None or sys.platform == "win32":
        return
    socket = Path(door.address)
    if socket.parent.name.startswith(_PREFIX):
        socket.unlink(missing_ok=True)
        try:
            socket.parent.rmdir()
        except OSError:
            return


def prove(connection: Connection, key: bytes, *, keeper: bool, seconds: float) -> bool:
    """Whether both sides know the key, each answering the other's challenge within the time.

    Unlike multiprocessing's own authentication it never waits longer than told.
    """
    until = time.monotonic() + seconds
    mine = secrets.token_bytes(CHALLENGE_BYTES)
    try:
        connection.send_bytes(mine)
        theirs = _receive(connection, CHALLENGE_BYTES, until)
        connection.send_bytes(_answer(key, theirs, keeper))
        answer = _receive(connection, hashlib.sha256().digest_size, until)
    except (OSError, EOFError):
        return False
    return hmac.compare_digest(answer, _answer(key, mine, not keeper))


_PREFIX = "finetune-studio-"


def _short_folder() -> Path:
    usual = Path(tempfile.gettempdir())
    short = usual if len(os.fsencode(usual)) < 60 else Path("/tmp")
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=short))


def _answer(key: bytes, challenge: bytes, keeper: bool) -> bytes:
    """The side is part of what is signed, so that no side's answer can be played back to it."""
    side = b"keeper" if keeper else b"client"
    return hmac.new(key, side + challenge, "sha256").digest()


def _receive(connection: Connection, size: int, until: float) -> bytes:
    if not connection.poll(max(0.0, until - time.monotonic())):
        raise TimeoutError("no answer in time")
    message = connection.recv_bytes(size)
    if len(message) != size:
        raise OSError("not an answer")
    return message
