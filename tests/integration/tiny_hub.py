"""A model hub on the loopback, as far as downloads need one: a repository's files, listed and served by commit."""
import hashlib
import http.server
import json
import pathlib
import re
import threading
import time


class TinyHub:
    """Serves the files of `folder` as the repository `name` at the revisions given, {revision: commit}. What was asked for is in `requests`."""

    def __init__(self, name, folder, revisions):
        self.name, self.folder, self.revisions = name, pathlib.Path(folder), revisions
        self.requests = []
        self.status = 200  # of every answer; beyond 400 there is no more to it but `headers`
        self.headers = {}
        self.slow = threading.Event()  # while set, files come in drips
        self.held = threading.Event()  # while set, files beyond 1,000 bytes do not come at all
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                hub.answer(self, with_body=False)

            def do_GET(self):
                hub.answer(self, with_body=True)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that is gone is no news
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.slow.clear()
        self.held.clear()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request, with_body):
        self.requests.append(f"{request.command} {request.path}")
        listing = re.fullmatch(f"/api/models/{self.name}/revision/([^/]+)", request.path)
        file = re.fullmatch(f"/{self.name}/resolve/([^/]+)/([^/]+)", request.path)
        commit = self.commit((listing or file)[1]) if listing or file else None
        if self.status != 200:
            return self.send(request, self.status, b"", self.headers, with_body)
        if commit is None or (file and not (self.folder / file[2]).is_file()):
            is_known = request.path.startswith((f"/api/models/{self.name}/", f"/{self.name}/"))
            return self.send(request, 404, b"", {"X-Error-Code": "RevisionNotFound" if is_known else "RepoNotFound"}, with_body)
        if listing:
            names = [{"rfilename": path.name} for path in sorted(self.folder.iterdir())]
            return self.send(request, 200, json.dumps({"sha": commit, "siblings": names}).encode(), {}, with_body)
        data = (self.folder / file[2]).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{sha256}"', "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data)), "X-Repo-Commit": commit}
        start = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        self.send(request, 206 if start else 200, data[int(start[1]) if start else 0:], headers, with_body)

    def commit(self, revision):
        return revision if revision in self.revisions.values() else self.revisions.get(revision)

    def send(self, request, status, data, headers, with_body):
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        if not with_body:
            return
        try:
            while self.held.is_set() and len(data) > 1000:
                time.sleep(0.02)
            while self.slow.is_set() and len(data) > 1000:
                request.wfile.write(data[:1000])
                data = data[1000:]
                time.sleep(0.02)  # the pace of the drips, which nothing waits for
            request.wfile.write(data)
        except OSError:
            pass  # the client is gone
