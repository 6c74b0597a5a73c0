"""Chats to text by a template in a process of its own, which is ended when it gets out of hand."""

from __future__ import annotations

import contextlib
import pickle
import re
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

import studio
from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.library.chat_templates import FIELD, ChatTemplate
from studio.preparer import renderer, template
from studio.preparer.messages import BadRow
from studio.preparer.renderer import Failed, Ready, Render, Texts, Use
from studio.preparer.spans import Chat, Rendered

_POLL_SECONDS = 0.1
_SENT_BYTES = 4 << 20
_FRAME = re.compile(rf'File "{template.FILE}", line (\d+)')
_TIMEOUT = "Timeout ("


class Renderer:
    """Renders with one template. The process starts with the first chat and ends with this object.

    Raises StudioError where the template is broken, never ends, writes without end, takes all
    memory or brings its process down; each names the template and, where it is known, the line.
    """

    def __init__(self, template: ChatTemplate, tokens: dict[str, str]) -> None:
        self._template = template
        self._use = Use(template.text, tokens)
        self._lines: tuple[tuple[int, int], ...] = ()
        self._child: _Child | None = None

    def rendered(self, chats: Sequence[Chat]) -> list[Rendered | BadRow]:
        """Each chat as the model reads it, or why the template refuses it."""
        return [row for some in _portions(chats) for row in self._texts(some, False)]

    def prompt(self, chat: Chat) -> str:
        """The chat up to where the next answer would begin; BadRow where it is refused."""
        (row,) = self._texts((chat,), True)
        if isinstance(row, BadRow):
            raise row
        return row.text

    def close(self) -> None:
        """Give the process up; the next chat takes another."""
        if self._child is not None:
            self._unused.detach()
            _give_back(self._child)
            self._child = None

    def _texts(self, chats: tuple[Chat, ...], prompt: bool) -> Iterator[Rendered | BadRow]:
        if self._child is None:
            self._begin()
        said = self._asked(Render(chats, prompt))
        assert isinstance(said, Texts)
        for done, bad in zip(said.rows, said.refused, strict=True):
            if done is None:
                assert bad is not None
                yield BadRow(bad.why, bad.fix)
            else:
                yield done

    def _begin(self) -> None:
        self._child = _spare.pop() if _spare else _Child()
        self._unused = weakref.finalize(self, self._child.end)
        self._lines = ()
        said = self._asked(self._use)
        assert isinstance(said, Ready)
        self._lines = said.lines

    def _asked(self, request: Use | Render) -> renderer.Said:
        assert self._child is not None
        said = self._child.ask(request)
        if isinstance(said, Failed):
            self._child.end()
            self.close()
            raise self._error(said)
        return said

    def _error(self, failed: Failed) -> StudioError:
        title, text, fix = _WORDS.get(failed.kind, _WORDS["crash"])
        line = self._line(-failed.line) if failed.line < 0 else failed.line
        at = f" (line {line})" if line else ""
        text = f"The chat template {self._template.source} {text}{at}."
        if failed.why:
            text = f"The chat template {self._template.source}{at} can't be read: {failed.why}."
        return StudioError(title, text, fix, (Problem(field=FIELD, text=text, fix=fix),))

    def _line(self, compiled: int) -> int:
        before = [pair for pair in self._lines if pair[1] <= compiled]
        return max(before, key=lambda pair: pair[1])[0] if before else 0


_spare: list[_Child] = []
_depth: list[None] = []


@contextlib.contextmanager
def warm() -> Iterator[None]:
    """Within it a process goes from one renderer to the next, which saves starting another."""
    _depth.append(None)
    try:
        yield
    finally:
        _depth.pop()
        while _spare and not _depth:
            _spare.pop().end()


def _give_back(child: _Child) -> None:
    if _depth and not _spare and child.living:
        _spare.append(child)
    else:
        child.end()


_FIX = "Repair it, or choose another template."
_WORDS = {
    "broken": ("Chat template is broken", "can't be read", _FIX),
    "endless": (
        "Chat template never ends",
        f"was at one row for {renderer.ROW_SECONDS:g} seconds and was ended",
        "Repair the loop there, or choose another template.",
    ),
    "slow": ("Chat template is too slow", "takes whole seconds for a row", _FIX),
    "output": ("Chat template never ends", "writes far more than the row holds", _FIX),
    "memory": (
        "Chat template takes all memory",
        "took too much memory and was ended",
        _FIX,
    ),
    "crash": ("Chat template crashed", "brought the process down that it ran in", _FIX),
}


def _portions(chats: Sequence[Chat]) -> Iterator[tuple[Chat, ...]]:
    """Large rows go by few at a time, since the process holds them several times over."""
    portion: list[Chat] = []
    size = 0
    for chat in chats:
        length = sum(len(one["content"]) for one in chat.messages)
        if portion and size + length > _SENT_BYTES:
            yield tuple(portion)
            portion, size = [], 0
        portion.append(chat)
        size += length
    if portion:
        yield tuple(portion)


class _Child:
    """The process, and a thread that watches what memory it takes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "studio", "preparer", "--render"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(studio.__file__).parent.parent,
            creationflags=_windows_flags(),
        )
        self._greedy = False
        self._busy = threading.Event()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="renderer memory", daemon=True)
        self._watcher.start()

    def ask(self, request: Use | Render) -> renderer.Said:
        """The answer, or Failed where the process ended over it; a negative line is that of the
        compiled code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = b""
        self._busy.set()
        with contextlib.suppress(OSError):
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        self._busy.clear()
        if not line.endswith(b"\n"):
            return self._post_mortem()
        said: renderer.Said = renderer.decoder.decode(line)
        return said

    @property
    def living(self) -> bool:
        return not self._ended.is_set() and self._process.poll() is None

    def end(self) -> None:
        """Kill it and wait."""
        self._ended.set()
        self._busy.set()
        self._process.kill()
        self._process.wait()
        if threading.current_thread() is not self._watcher:
            self._watcher.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _post_mortem(self) -> Failed:
        assert self._process.stderr is not None
        self._process.kill()
        said = self._process.stderr.read().decode("utf-8", "replace")
        print(said, file=sys.stderr)
        frame = _FRAME.search(said)
        line = -int(frame.group(1)) if frame else 0
        if self._greedy:
            return Failed("memory")
        return Failed("endless" if _TIMEOUT in said else "crash", "", line)

    def _watch(self) -> None:
        process = psutil.Process(self._process.pid)
        while not self._ended.wait(_POLL_SECONDS):
            self._busy.wait()
            with contextlib.suppress(psutil.Error):
                if process.memory_info().rss > renderer.MEMORY_BYTES:
                    self._greedy = True
                    self._process.kill()
                    return


def _windows_flags() -> int:
    if sys.platform != "win32":
        return 0
    return subprocess.CREATE_NO_WINDOW
