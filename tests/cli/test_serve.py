"""A real server of a tiny model with adapters, asked as other programs ask it."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import psutil
import pytest

from studio.client.keeper import quit_keeper
from studio.core.events import Started
from studio.engine.generate import decode, greedy, prompt_ids, stop_tokens
from studio.engine.load import load_tokenizer
from studio.library import jobs
from studio.library.folders import Home
from tests.support import adapters as made
from tests.support import tiny_model as tiny
from tests.support.command_line import ask, finish, start, until

QUESTION = list(made.QUESTION)
TOKENS = 16
PATIENCE = 60.0
JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning",
)


@dataclass(frozen=True)
class Server:
    """A server as `finetune-studio serve --json` says it stands."""

    home: Home
    process: subprocess.Popen[str]
    told: dict[str, Any]
    model: Path
    adapters: tuple[Path, ...]

    @property
    def port(self) -> int:
        port = urlsplit(self.told["address"]).port
        assert port
        return port

    def request(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        """One plain request; with the key unless other headers are given."""
        shown = headers or {"Authorization": f"Bearer {self.told['key']}"}
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            content = None if body is None else json.dumps(body)
            link.request(method, path, content, JSON | shown)
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    def says(self, model: str, **settings: object) -> str:
        """What this model answers to the question, greedily."""
        options = {"messages": QUESTION, "max_tokens": TOKENS, "temperature": 0} | settings
        status, answer = self.request("POST", "/v1/chat/completions", {"model": model} | options)
        assert status == 200, answer
        text: str = answer["choices"][0]["message"]["content"]
        return text

    def stream(self, path: str, body: dict[str, object]) -> http.client.HTTPConnection:
        """A plain connection on which a stream was asked for."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        shown = {"Authorization": f"Bearer {self.told['key']}"}
        link.request("POST", path, json.dumps(body | {"stream": True}), JSON | shown)
        return link

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.told["address"], api_key=self.told["key"], max_retries=0)


def begin(home: Home, *words: object) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """`serve` until it says where it answers."""
    process = start(home, "serve", *words)
    return process, json.loads(until(process, "serving")[-1])


def end(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Ctrl-C; the last word."""
    process.send_signal(signal.SIGINT)
    said = finish(process, [])
    assert said.code == 0, said.err
    last: dict[str, Any] = said.result
    return last


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("serving")
    home = Home(root / "studio home").make()
    model = tiny.build(root / "Tiny Model")
    first = made.make_adapter(model, root / "first", seed=1)
    second = made.make_adapter(model, root / "second", seed=2, r=8)
    (second / "chat_template.jinja").write_text(
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant]", "utf-8"
    )
    process, told = begin(
        home, "--model", model, "--adapter", first, "--adapter", second, "--dtype", "float32"
    )
    yield Server(home, process, told, model, (first, second))
    if process.poll() is None:
        end(process)
    quit_keeper(home)


def test_who_shows_no_key_or_another_is_refused(server: Server) -> None:
    wrong = [{"X": "1"}, {"Authorization": "Bearer studio-x"}, {"Authorization": "Basic a"}]
    for headers in wrong:
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/chat/completions")):
            status, answer = server.request(method, path, {}, **headers)
            assert status == 401
            assert answer["error"]["code"] == "invalid_api_key"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=server.told["address"], api_key="x").models.list()


def test_only_what_is_served_can_be_asked_for(server: Server, tmp_path: Path) -> None:
    for path in ("/load_model", "/reset", "/docs", "/openapi.json", "/v1/systemone", "/health"):
        assert server.request("POST", path, {"model": "x"})[0] == 404
        assert server.request("GET", path)[0] == 404
    for name in (str(server.model), "HuggingFaceTB/SmolLM2-135M", "", "x:y.gguf"):
        body = {"model": name, "messages": QUESTION}
        assert server.request("POST", "/v1/chat/completions", body)[0] == 404
    body = {"model": "first", "messages": QUESTION, "generation_config": "{}"}
    assert server.request("POST", "/v1/chat/completions", body)[0] == 422
    key = {"Authorization": f"Bearer {server.told['key']}"}
    assert server.request("GET", "/v1/models", **key, Host="evil.example")[0] == 403


def test_the_base_and_every_adapter_has_a_name(server: Server) -> None:
    assert server.told["models"] == ["tiny-model", "first", "second"]
    assert [model.id for model in server.client.models.list()] == server.told["models"]


def test_each_answers_as_in_chat(server: Server) -> None:
    told = [server.says(name) for name in server.told["models"]]
    live = [made.load(server.model), *(made.with_peft(server.model, a) for a in server.adapters)]
    templates = ("", "", (server.adapters[1] / "chat_template.jinja").read_text("utf-8"))
    for text, model, template in zip(told, live, templates, strict=True):
        tokenizer = load_tokenizer(server.model, template)
        ids = prompt_ids(tokenizer, QUESTION)
        [answer] = greedy(model, [ids], stop_tokens(model, tokenizer), TOKENS)
        assert text == decode(tokenizer, answer)
    assert len(set(told)) == 3


def test_streamed_text_is_the_whole_answer(server: Server) -> None:
    pieces = server.client.chat.completions.create(
        model="first",
        messages=QUESTION,
        max_tokens=TOKENS,
        temperature=0,
        stream=True,  # type: ignore[arg-type]
    )
    found = [piece.choices[0] for piece in pieces]
    text = "".join(piece.delta.content or "" for piece in found)
    assert text == server.says("first")
    assert sum(bool(piece.delta.content) for piece in found) > 3
    assert found[-1].finish_reason in ("length", "stop")


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_a_stream_ends_as_clients_expect(server: Server, path: str) -> None:
    asked = {"messages": QUESTION} if path.startswith("chat") else {"prompt": "Hello"}
    link = server.stream(f"/v1/{path}", {"model": "first", "max_tokens": 3} | asked)
    lines = link.getresponse().read().decode("utf-8").split("\n\n")
    link.close()
    assert lines[-2:] == ["data: [DONE]", ""]
    told = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert told[-1]["choices"][0]["finish_reason"] == "length"
    assert [b"[DONE]" in line.encode() for line in lines].count(True) == 1


def test_who_hangs_up_is_not_answered_any_more(server: Server) -> None:
    """One thread answers all of them: a next question would wait for hours behind this one."""
    endless = {"messages": QUESTION, "max_tokens": 10_000_000, "logit_bias": {"2": -100}}
    link = server.stream("/v1/chat/completions", {"model": "first"} | endless)
    answer = link.getresponse()
    for _ in range(4):
        assert answer.readline()  # it is on its way
    answer.close()
    link.close()
    assert server.says("first") == server.says("first")


def test_a_next_turn_says_what_it_says_without_what_was_read(server: Server) -> None:
    first = server.says("first")
    later = [*QUESTION, {"role": "assistant", "content": first}, *QUESTION]
    second = server.says("first", messages=later)
    assert server.says("second") != first
    assert server.says("first", messages=later) == second
    model = made.with_peft(server.model, server.adapters[0])
    tokenizer = load_tokenizer(server.model)
    [answer] = greedy(model, [prompt_ids(tokenizer, later)], stop_tokens(model, tokenizer), TOKENS)
    assert second == decode(tokenizer, answer)


def test_other_ways_of_asking(server: Server) -> None:
    client = server.client
    prompt = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    done = client.completions.create(model="first", prompt=prompt, max_tokens=4, temperature=0)
    assert done.usage
    assert done.usage.completion_tokens <= 4
    told = client.responses.create(
        model="first",
        input=QUESTION,
        max_output_tokens=TOKENS,
        temperature=0,  # type: ignore[arg-type]
    )
    assert told.output_text == server.says("first")
    warm = [server.says("first", temperature=1.5, seed=seed) for seed in (1, 1, 2)]
    assert warm[0] == warm[1] != warm[2]


def test_many_at_once_are_answered_in_turn_and_none_by_another(server: Server) -> None:
    alone = {name: server.says(name) for name in server.told["models"]}
    told: list[tuple[str, str]] = []
    threads = [
        threading.Thread(target=lambda name=name: told.append((name, server.says(name))))
        for name in [*alone] * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(told) == 9
    assert all(alone[name] == text for name, text in told)


def test_no_other_interface_answers(server: Server) -> None:
    doors = {
        link.laddr.ip
        for process in [server.process.pid, *_engines(server)]
        for link in psutil.Process(process).net_connections()
        if link.status == psutil.CONN_LISTEN
    }
    assert doors == {"127.0.0.1"}
    others = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }
    for other in others:
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((other, server.port), timeout=2)


def test_runs_lists_it_and_the_key_is_nowhere(server: Server) -> None:
    key = server.told["key"]
    for process in psutil.process_iter(["cmdline"]):
        assert key not in " ".join(process.info["cmdline"] or ())
    for pid in _engines(server):
        assert key not in str(psutil.Process(pid).environ())
    holding = [
        file.name
        for file in server.home.root.rglob("*")
        if file.is_file() and key.encode() in file.read_bytes()
    ]
    assert holding == ["serve.key"]
    if sys.platform != "win32":
        assert (server.home.root / "serve.key").stat().st_mode & 0o077 == 0


def test_a_port_that_is_taken_is_said_and_another_is_found(server: Server) -> None:
    said = ask(server.home, "serve", "--model", server.model, "--port", server.port)
    assert said.code == 1
    assert said.error["title"] == "The port is taken"
    assert ask(server.home, "serve").error["title"] == "Nothing to serve"
    wrong = ask(server.home, "serve", "--model", server.model, "--port", 99999)
    assert wrong.error["title"] == "No such port"


def test_it_ends_with_whoever_asked_for_it_and_leaves_nothing(server: Server) -> None:
    before = set(_engines(server))
    process, told = begin(server.home, "--model", server.model)
    other = Server(server.home, process, told, server.model, ())
    assert other.port != server.port
    assert other.told["key"] == server.told["key"]
    theirs = set(_engines(server)) - before
    assert len(theirs) == 1
    link = http.client.HTTPConnection("127.0.0.1", other.port, timeout=PATIENCE)
    body = json.dumps(
        {"model": "tiny-model", "messages": QUESTION, "stream": True, "max_tokens": 100_000}
    )
    shown = {"Authorization": f"Bearer {told['key']}"}
    link.request("POST", "/v1/chat/completions", body, JSON | shown)
    assert link.getresponse().readline()  # an answer is on its way
    process.kill()
    process.communicate()
    link.close()
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in theirs], timeout=PATIENCE)
    assert not alive
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", other.port), timeout=2)
    assert server.says("first")


def test_ctrl_c_ends_it(server: Server) -> None:
    result = end(server.process)
    assert result["address"] == server.told["address"]
    assert result["requests"] > 20  # those that passed the door
    assert _engines(server) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=2)
    left = [jobs.state(folder).state for folder in server.home.jobs.iterdir()]
    assert set(left) <= {"failed", "crashed"}  # each of another test, for its log


def _engines(server: Server) -> list[int]:
    """The processes of the living jobs."""
    return [
        event.pid
        for folder in server.home.jobs.iterdir()
        if jobs.living(folder)
        for event in jobs.read_events(folder)[0]
        if isinstance(event, Started)
    ]
