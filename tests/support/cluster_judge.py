"""A judge as small as can be, of the standard library alone: in a pod its text is a sidecar's program.

It speaks what every OpenAI-compatible server speaks; its reply is a function of the request.
`ASSAY_PORT` says where; 0 takes a free one, and the first line says which.
"""

import hashlib
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = "judge-1"


def reply(text):
    """An option of those the prompt lists, or Z; what a probing request hears."""
    options = [*dict.fromkeys(re.findall(r"\b([A-Z])\. ", text)), "Z"]
    return options[int(hashlib.sha256(text.encode()).hexdigest(), 16) % len(options)]


class Handler(BaseHTTPRequestHandler):
    """Two addresses: what is served, and chat completions."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""

    def do_GET(self):
        self._say({"object": "list", "data": [{"id": NAME, "object": "model"}]})

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        content = json.loads(self.rfile.read(length))["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        message = {"role": "assistant", "content": reply(text)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._say({"choices": [choice]})

    def _say(self, found):
        data = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ["ASSAY_PORT"])), Handler)
    sys.stdout.write(f"serving {server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
