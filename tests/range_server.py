"""A small HTTP server with files in memory, which counts what it is asked for and sends."""

from __future__ import annotations

import re
import threading
import zlib
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class RangeServer(ThreadingHTTPServer):
    """Serves ``files`` (path: bytes), in parts if ``ranges``.

    ``statuses`` (path: code) answers so instead. After ``lives`` answers with a body it
    breaks off in the middle of each; ``busy`` answers are 503 first. ``seen`` lists each
    request as (method, path with query, range or None, Authorization or None).
    """

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.statuses = {}
        self.ranges = True
        self.lives = None
        self.busy = 0
        self.seen = []
        self.sent = 0

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ranges_read(self):
        """First and last byte of each part that was asked for."""
        asked = (part for method, _, part, _ in self.seen if method == "GET" and part)
        return [tuple(map(int, re.match(r"bytes=(\d+)-(\d+)", part).groups())) for part in asked]

    def handle_error(self, *_):
        """A reader that hangs up is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body):
        server, path = self.server, urlsplit(self.path).path
        asked = self.headers.get("Range")
        server.seen.append((self.command, self.path, asked, self.headers.get("Authorization")))
        if server.busy and body and asked:
            server.busy -= 1
            self._send(503, b"", body)
        elif path in server.statuses:
            self._send(server.statuses[path], PAGE, body)
        elif path not in server.files:
            self._send(404, b"", body)
        elif asked and server.ranges:
            data = server.files[path]
            first, last = re.match(r"bytes=(\d+)-(\d*)", asked).groups()
            end = min(int(last or len(data) - 1) + 1, len(data))
            place = {"Content-Range": f"bytes {first}-{end - 1}/{len(data)}"}
            place["ETag"] = f'"{zlib.crc32(data)}"'
            self._send(206, data[int(first) : end], body, place)
        else:
            self._send(200, server.files[path], body)

    def _send(self, code, data, body, headers=()):
        self.send_response(code)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if self.server.lives is not None:
            self.server.lives -= 1
            if self.server.lives < 0:
                data, self.close_connection = data[: len(data) // 2], True
        with suppress(ConnectionError):
            self.wfile.write(data)
            self.server.sent += len(data)


@contextmanager
def serving(files):
    """A server that runs until the end of the block."""
    server = RangeServer(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
