"""A model hub on loopback: the hub's HTTP protocol over repositories in memory, with faults on request."""

import hashlib
import json
import re
import secrets
import socket
import struct
import threading
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from patience import PATIENCE

LARGE = (".onnx", ".safetensors")  # kept outside git, on another host, under their SHA-256
TOKEN = "hf_of_the_owner"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repository:
    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        name = secrets.token_hex(20)
        self.commits[name], self.refs[branch] = dict(files), name
        return name

    def resolve(self, revision: str) -> str | None:
        return self.refs.get(revision, revision if revision in self.commits else None)


@dataclass
class Fault:
    """What happens to the next `times` requests of a method whose path contains `where`."""

    where: str
    times: int = 1
    method: str = "GET"
    status: int | None = None  # answer this instead
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None  # answer with this instead
    after: int | None = None  # send this many bytes of the body, and then ...
    reset: bool = False  # ... reset the connection instead of closing it
    hold: threading.Event | None = None  # ... wait for this before closing it
    flip: bool = False  # change one byte of the body
    deaf: bool = False  # do not know ranges
    endless: bool = False  # no length, and no end (`FileServer` only)


@dataclass
class Request:
    method: str
    path: str
    host: str
    range: str | None
    token: str | None


class Hub:
    """`with Hub() as hub:` serves `hub.repositories` at `hub.endpoint`, and remembers `hub.requests`."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        handler = type("Bound", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for fault in self.faults:
            if fault.hold:
                fault.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, repo: str, folder: Path, **changed: bytes | None) -> str:
        """A repository's next commit: a folder's files, some replaced or left out. Dots in names are __."""
        files: dict[str, bytes | None] = {path.name: path.read_bytes() for path in folder.iterdir()}
        files |= {name.replace("__", "."): data for name, data in changed.items()}
        kept = {name: data for name, data in files.items() if data is not None}
        return self.repositories.setdefault(repo, Repository()).commit(kept)

    def fail(self, where: str, **how: Any) -> Fault:
        self.faults.append(Fault(where, **how))
        return self.faults[-1]

    def fault(self, method: str, path: str) -> Fault | None:
        found = next((f for f in self.faults if f.times and f.method == method and f.where in path), None)
        if found:
            found.times -= 1
        return found

    def asked(self, where: str, method: str = "GET") -> list[Request]:
        return [request for request in self.requests if request.method == method and where in request.path]

    def stored(self, checksum: str) -> bytes | None:
        commits = [files for repo in self.repositories.values() for files in repo.commits.values()]
        everything = (data for files in commits for data in files.values())
        return next((data for data in everything if sha256(data) == checksum), None)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def _serve(self) -> None:
        self.payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        host = (self.headers.get("Host") or "").partition(":")[0]
        self.token = token
        self.hub.requests.append(Request(self.command, path, host, self.headers.get("Range"), token))
        self.trouble = self.hub.fault(self.command, path)
        if self.trouble and self.trouble.status:
            return self._answer(b"", self.trouble.status, self.trouble.headers)
        for pattern, method, route in _ROUTES:
            if method == self.command.replace("HEAD", "GET") and (match := re.fullmatch(pattern, path)):
                return route(self, *match.groups())
        return self._answer(b"", 404)

    def _repository(self, name: str) -> Repository | None:
        """The repository, where the sender may see it; else it has been told."""
        found = self.hub.repositories.get(name)
        if found is None or (found.private and self.token != TOKEN):
            self._answer(b"", 404 if self.token else 401, {"X-Error-Code": "RepoNotFound"})
            return None
        return found

    def _commit(self, repo: Repository, revision: str) -> str | None:
        commit = repo.resolve(revision)
        if commit is None:
            self._answer(b"", 404, {"X-Error-Code": "RevisionNotFound"})
        return commit

    def info(self, name: str, revision: str | None = None) -> None:
        repo = self._repository(name)
        commit = repo and self._commit(repo, revision or "main")
        if not repo or not commit:
            return
        files = [self._sibling(*item) for item in sorted(repo.commits[commit].items())]
        self._json({"id": name, "sha": commit, "private": repo.private, "siblings": files})

    def _sibling(self, name: str, data: bytes) -> dict[str, Any]:
        lfs = {"size": len(data), "sha256": sha256(data), "pointerSize": 130}
        large = {"lfs": lfs} if name.endswith(LARGE) else {}
        return {"rfilename": name, "size": len(data), "blobId": git_sha1(data), **large}

    def file(self, name: str, revision: str, path: str) -> None:
        repo = self._repository(name)
        commit = repo and self._commit(repo, revision)
        if not repo or not commit:
            return None
        data, headers = repo.commits[commit].get(path), {"X-Repo-Commit": commit}
        if data is None:
            return self._answer(b"", 404, {**headers, "X-Error-Code": "EntryNotFound"})
        if path.endswith(LARGE):
            elsewhere = f"http://localhost:{self.hub.port}/cdn/{sha256(data)}"
            linked = {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
            return self._answer(b"", 302, {**headers, **linked, "Location": elsewhere})
        return self._bytes(data, {**headers, "ETag": f'"{git_sha1(data)}"'})

    def cdn(self, checksum: str) -> None:
        data = self.hub.stored(checksum)
        self._answer(b"", 404) if data is None else self._bytes(data, {})

    def _bytes(self, data: bytes, headers: dict[str, str]) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not asked or (self.trouble and self.trouble.deaf):
            return self._answer(data, 200, headers)
        start = int(asked[1])
        if start >= len(data):
            return self._answer(b"", 416, {"Content-Range": f"bytes */{len(data)}"})
        span = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self._answer(data[start:], 206, {**headers, "Content-Range": span})

    def create(self) -> None:
        wanted = json.loads(self.payload)
        name = f"{wanted['organization']}/{wanted['name']}"
        if self.token != TOKEN:
            return self._answer(b'{"error": "Invalid username or password."}', 401)
        made = name not in self.hub.repositories
        if made:
            repo = Repository(private=wanted.get("visibility") == "private" or bool(wanted.get("private")))
            repo.commit({".gitattributes": b"*.onnx filter=lfs\n"})
            self.hub.repositories[name] = repo
        return self._json({"url": f"{self.hub.endpoint}/{name}", "name": name}, 200 if made else 409)

    def validate(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, name: str, revision: str) -> None:
        if self.token != TOKEN:
            return self._answer(b"", 403)
        paths = [file["path"] for file in json.loads(self.payload)["files"]]
        modes = [(path, "lfs" if path.endswith(LARGE) else "regular") for path in paths]
        files = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes]
        return self._json({"files": files})

    def batch(self, name: str) -> None:
        wanted = json.loads(self.payload)["objects"]
        objects = [
            {**file, "actions": {"upload": {"href": f"http://localhost:{self.hub.port}/lfs/{file['oid']}"}}}
            for file in wanted
        ]
        self._json({"transfer": "basic", "objects": objects})

    def put(self, checksum: str) -> None:
        self.hub.uploads[checksum] = self.payload
        self._answer(b"", 200 if sha256(self.payload) == checksum else 422)

    def commit(self, name: str, branch: str) -> None:
        repo = self.hub.repositories[name]
        files = dict(repo.commits[repo.refs[branch]])
        for line in self.payload.splitlines():
            operation, value = json.loads(line)["key"], json.loads(line)["value"]
            if operation == "file":
                files[value["path"]] = b64decode(value["content"])
            elif operation == "lfsFile":
                files[value["path"]] = self.hub.uploads[value["oid"]]
            elif operation == "deletedFile":
                del files[value["path"]]
        commit = repo.commit(files, branch)
        self._json({"commitUrl": f"{self.hub.endpoint}/{name}/commit/{commit}", "commitOid": commit})

    def _json(self, value: object, status: int = 200) -> None:
        self._answer(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    def _answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        trouble = self.trouble or Fault("")
        body = body if trouble.body is None else trouble.body
        if trouble.flip:
            body = body[:-1] + bytes([body[-1] ^ 1])
        with suppress(OSError):  # the other side may be killed
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: trouble.after])
        if trouble.after is not None:
            self._cut(trouble)

    def _cut(self, trouble: Fault) -> None:
        if trouble.hold:
            trouble.hold.wait(PATIENCE)
        if trouble.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    (rf"/api/models/{_NAME}", "GET", _Handler.info),
    (rf"/api/models/{_NAME}/revision/(.+)", "GET", _Handler.info),
    (rf"/{_NAME}/resolve/([^/]+)/(.+)", "GET", _Handler.file),
    (r"/cdn/(\w+)", "GET", _Handler.cdn),
    (r"/api/repos/create", "POST", _Handler.create),
    (r"/api/validate-yaml", "POST", _Handler.validate),
    (rf"/api/models/{_NAME}/preupload/(.+)", "POST", _Handler.preupload),
    (rf"/{_NAME}\.git/info/lfs/objects/batch", "POST", _Handler.batch),
    (r"/lfs/(\w+)", "PUT", _Handler.put),
    (rf"/api/models/{_NAME}/commit/(.+)", "POST", _Handler.commit),
]
