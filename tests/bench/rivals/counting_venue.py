"""A venue that counts: it writes down who sent an order and when.

python counting_venue.py PORT FILE
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    """Takes any order."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    file = Path()
    guard = Lock()

    def do_POST(self) -> None:
        """Write the order down, then answer."""
        query = parse_qs(urlsplit(self.path).query)
        line = {
            "system": query["system"][0],
            "node": query["node"][0],
            "at_ms": time.time() * 1000,
        }
        with self.guard, self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
        """Say nothing."""


if __name__ == "__main__":
    Handler.file = Path(sys.argv[2])
    ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
