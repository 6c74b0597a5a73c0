"""An engine that misbehaves on request: FAKE_ENGINE in the environment says how.

Started like a real one, it does in order what the comma-separated words say, then serves
commands until it is told to end. It needs nothing but the studio's own library.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from studio.core import commands, events
from studio.library import jobs
from studio.library.folders import JobFolder
from studio.library.locks import Lock

STEPS = 1_000_000


class Engine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kind = type(jobs.job_of(folder)).__name__.lower()
        self.lock = Lock(JobFolder(folder).lock)
        if not self.lock.acquire():
            print("the folder is in use")
            sys.exit(1)
        log = JobFolder(folder).commands
        self.offset = log.stat().st_size if log.exists() else 0
        self.step = 0
        self.vram = 0
        self.polite = True

    def say(self, event: events.AnyEvent) -> None:
        jobs.append(self.folder, event)

    def begin(self) -> None:
        self.say(events.Started(pid=os.getpid(), total_steps=STEPS, epochs=1.0))

    def one_step(self) -> None:
        self.step += 1
        metrics = {"loss": 1.0 / self.step, "learning_rate": 1e-4, "grad_norm": None}
        if self.vram:
            metrics["vram_bytes"] = float(self.vram)
        self.say(events.Step(step=self.step, metrics=metrics, tokens=self.step, seconds=1.0))

    def serve(self) -> None:
        """Step now and then until told to end; at the end of input, leave as chat does."""
        if self.kind in ("chat", "measure"):
            threading.Thread(target=self._leave_at_eof, daemon=True).start()
        while True:
            self.one_step()
            found, self.offset = jobs.read_commands(self.folder, self.offset)
            for command in found if self.polite else ():
                self.obey(command)
            time.sleep(0.02)

    def obey(self, command: commands.AnyCommand) -> None:
        match command:
            case commands.Stop():
                result = {"state": "stopped", "steps": self.step}
                self.leave(events.Finished(result=result, stopped=True))
            case commands.Pause(reason=why):
                self.leave(events.Paused(checkpoint="checkpoints/1", step=self.step, reason=why))
            case commands.Cancel():
                self.leave(events.Cancelled())
            case commands.Leave():
                sys.exit(0)
            case commands.Save():
                self.say(events.Saved(step=self.step, path="checkpoints/1"))
            case commands.Sample():
                self.say(events.Sampled(step=self.step, prompt="Hello", text="Hi"))
            case _:
                self.say(events.Note(text=type(command).__name__))

    def leave(self, event: events.AnyEvent) -> None:
        self.say(event)
        sys.exit(0)

    def _leave_at_eof(self) -> None:
        sys.stdin.buffer.read()
        if self.polite:
            os._exit(0)


def grandchild(*, new_session: bool) -> int:
    code = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=new_session)
    child.returncode = 0  # nobody will wait for it
    return child.pid


def do(engine: Engine, word: str) -> None:
    name, _, argument = word.partition(":")
    match name:
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(int(argument))
        case "raise":
            raise ValueError("the numbers don't add up")
        case "memory":
            raise MemoryError("Unable to allocate 40 GiB")
        case "failed":
            engine.say(events.Failed(title="Bad rows", text="No row is left.", fix="Add some."))
            os._exit(1)
        case "finish":
            engine.leave(events.Finished(result={"state": "finished", "steps": engine.step}))
        case "step":
            for _ in range(int(argument)):
                engine.one_step()
        case "vram":
            engine.vram = int(argument)
        case "rubbish":
            with JobFolder(engine.folder).events.open("ab") as file:
                file.write(b'{"event": "nonsense"}\nnot json at all\n\xff\xfe\x00\n{"event":')
                file.write(b"\n[1, 2]\n")
        case "flood":
            line = events.encode(events.Note(time=1.0, text="x" * 1000)) + b"\n"
            with JobFolder(engine.folder).events.open("ab") as file:
                for _ in range(int(argument)):
                    file.write(line)
        case "gate":
            while not (engine.folder / argument).exists():
                time.sleep(0.01)
            log = JobFolder(engine.folder).commands
            engine.offset = log.stat().st_size if log.exists() else 0
        case "deaf":
            engine.polite = False
        case "ignore_terminate":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "child" | "escaped_child":
            pid = grandchild(new_session=name == "escaped_child")
            engine.say(events.Note(text=f"child {pid}"))
        case "hang":
            engine.polite = False
            threading.Event().wait()


def ordered() -> Path:
    """A spare's job, once it comes; without one it ends."""
    with open(0, "rb", buffering=0, closefd=False) as pipe:
        line = pipe.readline()
    if not line:
        sys.exit(0)
    order = json.loads(line)
    os.environ.update(order["environment"])
    output = os.open(JobFolder(Path(order["folder"])).engine_log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    return Path(order["folder"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--spare", action="store_true")
    engine = Engine(parser.parse_args().folder or ordered())
    script = JobFolder(engine.folder).path / "fake.txt"
    words = script.read_text("utf-8") if script.exists() else os.environ.get("FAKE_ENGINE", "")
    first, *rest = [word for word in words.split(",") if word] or [""]
    if first != "mute":
        engine.begin()
        do(engine, first)
    for word in rest:
        do(engine, word)
    engine.serve()


if __name__ == "__main__":
    main()
