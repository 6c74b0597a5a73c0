"""Set-up may be stopped at any moment and started twice at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.clone import PACKAGING, Clone

SET_UP = """
import signal, sys
from pathlib import Path
# a runner that started these tests in the background may have handed down that Ctrl-C is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.append(sys.argv[1])
from environment import Environment
import handover, torch_build
torch_build.index_reachable = lambda: False
clone = Environment(Path(sys.argv[2]))
sys.exit(handover.set_up(lambda: clone.prepare(["product"], system=False)))
"""


class StallingIndex(ThreadingHTTPServer):
    """A package index that takes a question and never answers it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.over = threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.set()
                index.over.wait(60)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def stalling_index(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> Iterator[StallingIndex]:
    """pip would get alpha from here."""
    index = StallingIndex()
    thread = threading.Thread(target=index.serve_forever, args=(0.02,))
    thread.start()
    with monkeypatch.context() as changed:
        changed.delenv("PIP_NO_INDEX")
        changed.delenv("PIP_FIND_LINKS")
        changed.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.server_port}/simple")
        yield index
    index.over.set()
    index.shutdown()
    index.server_close()
    thread.join()


@pytest.mark.skipif(os.name != "posix", reason="signals to a process group are POSIX's")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_an_interrupted_set_up_goes_on_the_next_time(
    clone: Clone,
    stalling_index: StallingIndex,
    how: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.rmtree(clone.site / "alpha")
    shutil.rmtree(next(clone.site.glob("alpha-*.dist-info")))
    with _set_up(clone) as process:
        assert stalling_index.asked.wait(60)
        os.killpg(process.pid, how)
        said = process.communicate()[1]
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Interrupted. Run the same command again" in said
    assert not clone.environment.ready(["product"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(clone.index))
    clone.prepare()
    assert clone.environment.ready(["product"])


def test_two_at_once_do_the_work_once(clone: Clone) -> None:
    shutil.rmtree(clone.site / "alpha")
    with _set_up(clone) as one, _set_up(clone) as other:
        said = [one.communicate()[1], other.communicate()[1]]
    assert (one.returncode, other.returncode) == (0, 0), said
    assert sum("Installing" in text for text in said) == 1, said
    assert clone.environment.ready(["product"])


def _set_up(clone: Clone) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SET_UP, str(PACKAGING), str(clone.root)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
