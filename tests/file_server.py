"""Files over HTTP on loopback, with ranges, and with faults on request."""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from hub_server import Fault
from patience import PATIENCE


@dataclass
class Asked:
    """A request, as it came."""

    path: str
    range: str | None
    if_range: str | None
    agent: str


class FileServer:
    """`with FileServer() as server:` serves `server.files`, path to bytes, and remembers `server.requests`.

    Attributes:
        tags: whether answers have an ETag. lengths: whether they have a length; else they are chunked.
        if_range: whether it knows If-Range; else it goes on with whatever file there is now.
        poured: bytes that were sent without end.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[Asked] = []
        self.tags = self.lengths = self.if_range = True
        self.poured = 0
        handler = type("Bound", (_Handler,), {"site": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FileServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for fault in self.faults:
            if fault.hold:
                fault.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, where: str, **how: Any) -> Fault:
        """See `hub_server.Fault`."""
        self.faults.append(Fault(where, **how))
        return self.faults[-1]

    def fault(self, path: str) -> Fault | None:
        found = next((fault for fault in self.faults if fault.times and fault.where in path), None)
        if found:
            found.times -= 1
        return found

    @property
    def ranges(self) -> list[str | None]:
        return [request.range for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    site: FileServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        asked = (self.headers.get(name) for name in ("Range", "If-Range"))
        self.site.requests.append(Asked(self.path, *asked, self.headers.get("User-Agent", "")))
        fault = self.site.fault(path) or Fault("")
        data = self.site.files.get(path) if fault.body is None else fault.body
        if fault.endless:
            return self._pour()
        if fault.status or data is None:
            return self._send(fault.status or 404, b"", fault)
        if fault.flip:
            data = data[:-1] + bytes([data[-1] ^ 1])
        self._serve(data, fault)
        return None

    def _serve(self, data: bytes, fault: Fault) -> None:
        tag = f'"{hashlib.sha1(data).hexdigest()}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        changed = self.site.if_range and self.headers.get("If-Range") not in (None, tag)
        headers = {"ETag": tag} if self.site.tags else {}
        if not asked or fault.deaf or changed:
            return self._send(200, data, fault, headers)
        start = int(asked[1])
        if start >= len(data):
            return self._send(416, b"", fault, {**headers, "Content-Range": f"bytes */{len(data)}"})
        span = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self._send(206, data[start:], fault, {**headers, "Content-Range": span})

    def _send(self, status: int, body: bytes, fault: Fault, headers: dict[str, str] | None = None) -> None:
        with suppress(OSError):  # the other side may be killed
            self.send_response(status)
            for name, value in {**(headers or {}), **fault.headers}.items():
                self.send_header(name, value)
            chunked = not self.site.lengths and status == 200
            length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
            if length[0] not in fault.headers:  # else a lie
                self.send_header(*length)
            self.end_headers()
            self._write(body[: fault.after], chunked, whole=fault.after is None)
        if fault.after is not None:
            if fault.hold:
                fault.hold.wait(PATIENCE)
            self.close_connection = True

    def _pour(self) -> None:
        """Bytes until the other side has enough, or 200 MB."""
        self.close_connection = True
        with suppress(OSError):
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(200):
                self.wfile.write(bytes(1_000_000))
                self.site.poured += 1_000_000

    def _write(self, body: bytes, chunked: bool, *, whole: bool) -> None:
        if not chunked:
            self.wfile.write(body)
            return
        if body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))
        if whole:
            self.wfile.write(b"0\r\n\r\n")
