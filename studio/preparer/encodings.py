"""Which encoding a text is in: by its byte-order mark, its zero bytes, or what its bytes spell."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from studio.core.errors import StudioError
from studio.preparer import packed
from studio.preparer.packed import DataFile

LOOKED_AT = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with a byte-order mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


class Encoding(NamedTuple):
    """A codec, how it treats broken bytes, and its name for people.

    `guessed` marks an encoding that nothing in the file announces.
    """

    codec: str
    name: str
    errors: str = "strict"
    guessed: bool = False


UTF8 = Encoding("utf-8-sig", "UTF-8", "surrogateescape")


def of_file(file: DataFile) -> Encoding:
    """The encoding of a text file; StudioError for an empty file and for what is no text."""
    start = packed.head(file, LOOKED_AT)
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise StudioError(
            "Dataset is empty", f"There is no row in “{file.name}”.", "Choose another file."
        )
    for mark, codec, name in _MARKS:
        if start.startswith(mark):
            return Encoding(codec, name, UTF8.errors if codec == UTF8.codec else "strict")
    if b"\0" in start[:4096]:
        return _by_zeros(file, start[:4096])
    return UTF8 if _is_utf8(start) else _western(file, start)


def _is_utf8(start: bytes) -> bool:
    """Also with some broken bytes, as long as others spell characters as only UTF-8 does."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(start, final=len(start) < LOOKED_AT)
        return True
    except UnicodeDecodeError:
        text = start.decode("utf-8", "surrogateescape")
    broken = sum("\udc80" <= sign <= "\udcff" for sign in text)
    return sum(sign > "\x7f" for sign in text) - broken > broken


def _western(file: DataFile, start: bytes) -> Encoding:
    """Windows-1252, of which Latin-1 is the most part, where few bytes are beyond ASCII."""
    high = sum(byte > 0x7F for byte in start)
    control = sum(byte < 0x20 and byte not in b"\t\n\r\f\v\x1b" for byte in start)
    if control or high * 3 > len(start):
        raise no_text(
            file, "its bytes are neither UTF-8 nor Western European text", "Save it as UTF-8."
        )
    try:
        start.decode("cp1252")
    except UnicodeDecodeError:
        return Encoding("latin-1", "Latin-1", guessed=True)
    return Encoding("cp1252", "Windows-1252", UTF8.errors, guessed=True)


def _by_zeros(file: DataFile, start: bytes) -> Encoding:
    odd, even = start[1::2].count(0), start[0::2].count(0)
    if odd > len(start) // 4 and not even:
        return Encoding("utf-16-le", "UTF-16")
    if even > len(start) // 4 and not odd:
        return Encoding("utf-16-be", "UTF-16")
    raise no_text(file, "it holds zero bytes", "Choose a file of text or of a known kind.")


class NoText(StudioError):
    """A file that is no text, or none in an encoding that can be told."""


def no_text(file: DataFile, why: str, fix: str) -> NoText:
    """The error of such a file."""
    return NoText("Not a text file", f"“{file.name}” can't be read: {why}.", fix)
