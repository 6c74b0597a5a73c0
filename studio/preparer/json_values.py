"""JSON one value at a time from text in pieces, with the slips that people make in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from studio.preparer.records import LONGEST_ROW

TWICE = "names a field twice; the last value counts"
RELAXED = "has comments or trailing commas, which are no JSON"
_PIECE = 1 << 18
_SETTLED = 32
"""Characters behind an error that make it certain that more text would not mend it."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\r\n]*|/\*.*?\*/|[\[{\]}]', re.DOTALL)
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[\]}])', re.DOTALL)
_BETWEEN = re.compile(r"(?:[\s\ufeff]|//[^\r\n]*[\r\n]|/\*.*?\*/)*", re.DOTALL)


class Decoder:
    """Decodes JSON strictly, then forgivingly. `note` says what was odd about the last value."""

    def __init__(self) -> None:
        self.note = ""
        self._json = json.JSONDecoder(object_pairs_hook=self._object)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            self.note = TWICE
        return found

    def whole(self, text: str) -> Any:
        """The only value in the text; raises ValueError or RecursionError as json.loads does."""
        self.note = ""
        try:
            return self._json.decode(text)
        except json.JSONDecodeError:
            forgiven = forgive(text)
            if forgiven == text:
                raise
            try:
                value = self._json.decode(forgiven)
            except json.JSONDecodeError:
                forgiven = ""
            if not forgiven:
                raise  # positions are those in the text itself
        self.note = RELAXED
        return value

    def first(self, text: str, start: int) -> tuple[Any, int]:
        """The value that begins at `start`, strictly, and where it ends."""
        self.note = ""
        return self._json.raw_decode(text, start)


class NotJson(Exception):
    """Where a document stops being JSON, and why."""

    def __init__(self, line: int, column: int, why: str) -> None:
        super().__init__(f"Line {line}, column {column}: {why}")


class Values:
    """Reads values and signs from a text; raises NotJson, or RecursionError when too deep."""

    def __init__(self, read: Callable[[int], str]) -> None:
        self._read = read
        self._text = ""
        self._at = 0
        self._ended = False
        self._line, self._column = 1, 1
        self._decoder = Decoder()

    @property
    def note(self) -> str:
        return self._decoder.note

    def peek(self) -> str:
        """The next sign that is neither blank nor in a comment; nothing at the end."""
        while True:
            found = _BETWEEN.match(self._text, self._at)
            assert found
            at = found.end()
            sign = self._text[at : at + 1]
            if self._ended or (sign and sign != "/"):
                self._at = at
                return sign
            if at == len(self._text):
                self._at = at
            self._more()

    def take(self, sign: str) -> bool:
        """Whether the next sign is this one, which is then passed."""
        if self.peek() != sign:
            return False
        self._at += 1
        return True

    def value(self) -> Any:
        """The value that begins at the next sign."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.first(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or self._certain(error):
                    return self._forgiven(error)
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            if len(self._text) - self._at > LONGEST_ROW:
                raise self.error("one value is too long")
            self._more()

    def rest(self, limit: int) -> bool:
        """Whether all that is left fits in so many characters."""
        while not self._ended and len(self._text) - self._at <= limit:
            self._more()
        return self._ended

    def error(self, why: str, at: int | None = None) -> NotJson:
        """What is wrong at this place of the text, or at the next sign."""
        line, column = self._place(self._at if at is None else at)
        return NotJson(line, column, why)

    def _certain(self, error: json.JSONDecodeError) -> bool:
        return error.pos + _SETTLED < len(self._text) and not error.msg.startswith("Unterminated")

    def _forgiven(self, error: json.JSONDecodeError) -> Any:
        end = self._end_of_value()
        text = self._text[self._at : end] if end else ""
        if text and (forgiven := forgive(text)) != text:
            try:
                value, _ = self._decoder.first(forgiven, 0)
            except json.JSONDecodeError:
                raise self.error(error.msg, error.pos) from error
            self._at = end
            self._decoder.note = RELAXED
            return value
        raise self.error(error.msg, error.pos) from error

    def _end_of_value(self) -> int:
        """Where the brackets close that open at the next sign; 0 where they never do."""
        while True:
            depth = 0
            for token in _TOKEN.finditer(self._text, self._at):
                depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
                if depth <= 0:
                    return token.end() if token.group() in "]}" else 0
            if self._ended or len(self._text) - self._at > LONGEST_ROW:
                return 0
            self._more()

    def _more(self) -> None:
        """Append a piece, larger the more of a value is waiting; forget what is behind."""
        piece = self._read(max(_PIECE, len(self._text) - self._at))
        self._line, self._column = self._place(self._at)
        self._text = self._text[self._at :] + piece
        self._at = 0
        self._ended = not piece

    def _place(self, at: int) -> tuple[int, int]:
        before = self._text[:at]
        lines = before.count("\n")
        if not lines:
            return self._line, self._column + at
        return self._line + lines, at - before.rfind("\n")


def forgive(text: str) -> str:
    """The text without comments and without commas before a closing bracket."""
    text = _COMMENT.sub(lambda found: found.group(1) or "", text)
    return _TRAILING.sub(lambda found: found.group(1) or "", text)


def blank(text: str) -> bool:
    """Whether there is nothing in the text but white space, comments and marks."""
    return not text.strip(" \t\r\n\ufeff")
