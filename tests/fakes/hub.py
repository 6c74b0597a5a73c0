"""A hub on loopback: what huggingface_hub asks of the real one, and its bad days on request."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS = (".safetensors", ".bin", ".gguf", ".parquet")
TOKEN = "hf_loopbacktokenloopbacktokenloopbackt"


@dataclass
class Repo:
    """One model or dataset. `commit` is what every revision in `revisions` means."""

    files: dict[str, bytes]
    commit: str = "c0ffee" + "0" * 34
    revisions: tuple[str, ...] = ("main",)
    gated: bool = False
    tags: tuple[str, ...] = ("text-generation", "safetensors", "license:apache-2.0")
    downloads: int = 100


@dataclass
class Request:
    """What a client asked for."""

    method: str
    path: str
    host: str
    byte_range: str
    token: str


@dataclass
class FakeHub:
    """Start with `serving()`; the fields below `requests` make it misbehave.

    `break_after`: bytes after which the next answers with large files break off. `stall_after`:
    bytes after which those stop coming until `going_on` is set. `wrong`: a file sent garbled.
    `stored` is what was uploaded by its sha256, `private` the repositories made so, `writers` the
    tokens that may write, `files_status` what large files are answered with instead of being taken.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    datasets: dict[str, Repo] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    break_after: list[int] = field(default_factory=list)
    stall_after: int = 0
    going_on: threading.Event = field(default_factory=threading.Event)
    ignores_ranges: bool = False
    status: int = 0
    wrong: str = ""
    granted: set[str] = field(default_factory=set)
    stored: dict[str, bytes] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    writers: set[str] = field(default_factory=set)
    files_status: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, name: str, folder: Path, **about: Any) -> Repo:
        """Offer the files of a folder as a model."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.repos[name] = Repo(files, **about)
        return self.repos[name]

    def add_dataset(self, name: str, files: dict[str, bytes], **about: Any) -> Repo:
        """Offer files, by their names in the repository, as a dataset."""
        self.datasets[name] = Repo(files, **about)
        return self.datasets[name]

    def find(self, kind: str, name: str) -> Repo | None:
        """A repository of the kind “models” or “datasets”."""
        return (self.datasets if kind == "datasets" else self.repos).get(name)

    def asked(self, name: str) -> list[Request]:
        """The requests for one file's content."""
        return [r for r in self.requests if r.path.endswith(name) and "/cdn/" in r.path]

    def allows(self, repo: Repo, token: str) -> bool:
        return not repo.gated or token in self.granted


@contextlib.contextmanager
def serving() -> Iterator[FakeHub]:
    """A hub that answers until the block ends."""
    hub = FakeHub()
    handler = type("Bound", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="fake-hub")
    thread.start()
    try:
        yield hub
    finally:
        hub.going_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.hub.requests.append(
            Request(
                self.command,
                path,
                self.headers.get("Host", ""),
                self.headers.get("Range", ""),
                self.token,
            )
        )
        if self.hub.status:
            self._fail(self.hub.status)
        elif path == "/api/models":
            self._search(query)
        elif path.startswith(("/api/models/", "/api/datasets/")):
            kind, _, rest = path.removeprefix("/api/").partition("/")
            self._info(kind, rest)
        elif path.startswith("/cdn/"):
            self._content(path.removeprefix("/cdn/"))
        else:
            self._resolve(path.strip("/"))

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.requests.append(
            Request("POST", path, self.headers.get("Host", ""), "", self.token)
        )
        if self.token not in self.hub.writers:
            self._fail(403)
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LFS) else "regular",
                    "shouldIgnore": False,
                }
                for file in files
            ]
            self._json({"files": modes})
        elif path.endswith("/info/lfs/objects/batch"):
            self._json({"objects": [self._wanted(each) for each in json.loads(body)["objects"]]})
        else:
            self._commit(path.removeprefix("/api/models/").partition("/commit/")[0], body)

    def do_PUT(self) -> None:
        digest = self.path.rpartition("/")[2]
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if self.hub.files_status:
            return self._fail(self.hub.files_status)
        self.hub.requests.append(Request("PUT", self.path, "", "", ""))
        self.hub.stored[digest] = body
        return self._json({})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
        self.hub.repos.setdefault(name, Repo({}))
        if asked.get("private") or asked.get("visibility") == "private":
            self.hub.private.add(name)
        self._json({"url": f"{self.hub.url}/{name}", "name": name})

    def _wanted(self, asked: dict[str, Any]) -> dict[str, Any]:
        answer = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] in self.hub.stored:
            return answer
        return answer | {"actions": {"upload": {"href": f"{self._elsewhere}/put/{asked['oid']}"}}}

    def _commit(self, name: str, body: bytes) -> None:
        repo = self.hub.repos[name]
        for line in body.splitlines():
            said = json.loads(line)
            if said["key"] == "file":
                repo.files[said["value"]["path"]] = base64.b64decode(said["value"]["content"])
            elif said["key"] == "lfsFile":
                repo.files[said["value"]["path"]] = self.hub.stored[said["value"]["oid"]]
        self._json({"commitUrl": f"{self.hub.url}/{name}/commit/{repo.commit}",
                    "commitOid": repo.commit, "hookOutput": ""})  # fmt: skip

    def _search(self, query: dict[str, list[str]]) -> None:
        wanted = query.get("search", [""])[0].lower()
        tags = set(query.get("filter", []))
        found = [
            self._row(name, repo)
            for name, repo in self.hub.repos.items()
            if wanted in name.lower() and tags <= set(repo.tags)
        ]
        found.sort(key=lambda row: -row["downloads"])
        self._json(found[: int(query.get("limit", ["1000"])[0])])

    def _row(self, name: str, repo: Repo) -> dict[str, Any]:
        return {
            "id": name,
            "modelId": name,
            "downloads": repo.downloads,
            "likes": 7,
            "gated": "manual" if repo.gated else False,
            "tags": list(repo.tags),
            "lastModified": "2026-05-04T03:02:01.000Z",
            "config": {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
            "safetensors": {"parameters": {"F32": 1234}, "total": 1234},
        }

    def _info(self, kind: str, rest: str) -> None:
        name, _, revision = rest.partition("/revision/")
        repo = self.hub.find(kind, name)
        if repo is None:
            return self._fail(404, "RepoNotFound")
        if revision and revision not in (*repo.revisions, repo.commit):
            return self._fail(404, "RevisionNotFound")
        about = self._row(name, repo) | {"sha": repo.commit}
        about["siblings"] = [_sibling(file, body) for file, body in repo.files.items()]
        return self._json(about)

    def _resolve(self, path: str) -> None:
        kind = "datasets" if path.startswith("datasets/") else "models"
        name, _, rest = path.removeprefix("datasets/").partition("/resolve/")
        commit, _, file = rest.partition("/")
        repo = self.hub.find(kind, name)
        if repo is None or commit != repo.commit or file not in repo.files:
            return self._fail(404, "EntryNotFound")
        if not self.hub.allows(repo, self.token):
            return self._fail(403 if self.token else 401, "GatedRepo")
        self.send_response(302)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Location", f"{self._elsewhere}/cdn/{kind}/{name}/-/{file}")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _content(self, path: str) -> None:
        kind, _, rest = path.partition("/")
        name, _, file = rest.partition("/-/")
        repo = self.hub.find(kind, name)
        assert repo is not None
        body = repo.files[file]
        if file == self.hub.wrong:
            body = bytes(reversed(body))
        start = 0
        asked = self.headers.get("Range", "").removeprefix("bytes=").rstrip("-")
        if asked and not self.hub.ignores_ranges:
            start = int(asked)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self._send(body[start:], file)

    @property
    def _elsewhere(self) -> str:
        """The address where contents lie: another host than the hub's, as with the real one."""
        return f"http://localhost:{self.hub.port}"

    def _send(self, body: bytes, file: str) -> None:
        large = file.endswith(LFS)
        with contextlib.suppress(OSError):
            if large and self.hub.break_after:
                self.wfile.write(body[: self.hub.break_after.pop(0)])
                self.close_connection = True
            elif large and self.hub.stall_after:
                self.wfile.write(body[: self.hub.stall_after])
                self.hub.going_on.wait(60)
                self.close_connection = True
            else:
                self.wfile.write(body)

    def _json(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, status: int, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _sibling(name: str, body: bytes) -> dict[str, Any]:
    about: dict[str, Any] = {"rfilename": name, "size": len(body)}
    about["blobId"] = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    if name.endswith(LFS):
        digest = hashlib.sha256(body).hexdigest()
        about["lfs"] = {"sha256": digest, "size": len(body), "pointerSize": 130}
    return about
