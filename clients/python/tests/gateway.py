"""A gateway for tests that need no log, and what they share."""

import json
import socket
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pg_eventlog import EventLog


class Gateway:
    """Answers requests by a function of their events and their number; no answer of it is 202."""

    def __init__(self, answer=None):
        self.requests = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                events = json.loads(body)
                self.requests.append(events)
                status, said, headers = (answer and answer(events, len(self.requests))) or (202, {}, {})
                if status is None:
                    handler.close_connection = True
                    handler.connection.shutdown(socket.SHUT_RDWR)
                    return
                text = json.dumps(said).encode()
                handler.send_response(status)
                for name, value in {"Content-Length": len(text), **headers}.items():
                    handler.send_header(name, str(value))
                handler.end_headers()
                handler.wfile.write(text)

            def log_message(handler, *words):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(server, *what):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def names(self):
        return [" ".join(event["name"] for event in events) for events in self.requests]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Case(unittest.TestCase):
    def client(self, answer=None, kind=EventLog, **options):
        self.gateway = Gateway(answer)
        self.addCleanup(self.gateway.stop)
        self.notices = []
        standard = {"gzip": False, "linger": 0, "retry_base": 0.001, "on_drop": self.notices.append}
        return kind(self.gateway.url, "key", **{**standard, **options})


class Refuses(dict):
    def items(self):
        raise RuntimeError("no")
