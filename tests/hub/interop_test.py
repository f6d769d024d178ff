"""One cache, used by induct and by the Python library huggingface_hub: what one has downloaded the other finds.

    interop_test.py HUB_DOWNLOAD [unittest's arguments]

Both talk to a hub in this process. Skipped (exit 77) where huggingface_hub is not installed.
"""

import ast
import hashlib
import http.server
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

PROGRAM = None
REPO = "org/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "fedcba9876543210fedcba9876543210fedcba98"  # the same files
REVISIONS = ["main", "step3000", "refs/pr/1"]
LARGE = "model.safetensors"
FILES = {
    "README.md": b"# Not needed\n",
    "config.json": b'{"model_type": "gpt_neox"}\n',
    "tokenizer.json": b'{"version": "1.0"}\n',
    "tokenizer_config.json": b"{}\n",
    LARGE: bytes(range(256)) * 40_000,
}
NEEDED = [name for name in FILES if name != "README.md"]


def etag_of(name):
    data = FILES[name]
    return hashlib.sha256(data).hexdigest() if name == LARGE else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.server.asked.append(f"{self.command} {self.path}")
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        files = self.server.files
        commit = OTHER_COMMIT if "other" in path or OTHER_COMMIT in path else COMMIT
        if path in [f"/api/models/{REPO}/revision/{revision}" for revision in [*REVISIONS, "other", COMMIT, OTHER_COMMIT]]:
            listing = {"id": REPO, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
            self.reply(200, json.dumps(listing).encode(), Content_Type="application/json")
        elif path == f"/api/models/{REPO}/tree/{commit}":
            self.reply(200, json.dumps([self.tree_entry(name) for name in files]).encode(), Content_Type="application/json")
        elif path.startswith(f"/{REPO}/resolve/") and path.rsplit("/", 1)[1] in files:
            self.reply_file(path.rsplit("/", 1)[1], commit)
        elif path == f"/storage/{LARGE}":
            self.reply(200, FILES[LARGE])
        else:
            self.reply(404, X_Error_Code="EntryNotFound" if "/resolve/" in path else "RepoNotFound", X_Repo_Commit=commit)

    do_HEAD = do_GET

    def tree_entry(self, name):
        entry = {"type": "file", "path": name, "size": len(FILES[name]), "oid": "0" * 40}
        if name == LARGE:
            entry["lfs"] = {"oid": etag_of(name), "size": len(FILES[name]), "pointerSize": 1}
        return entry

    def reply_file(self, name, commit):
        headers = {"X_Repo_Commit": commit, "ETag": f'"{etag_of(name)}"'}
        if name != LARGE:
            return self.reply(200, FILES[name], **headers)
        storage = f"http://localhost:{self.server.server_port}/storage/{name}"
        self.reply(302, Location=storage, X_Linked_Etag=f'"{etag_of(name)}"', X_Linked_Size=str(len(FILES[name])), **headers)


class Interop(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.asked = []
        self.server.files = list(FILES)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        self.cache = self.home / "hub"
        self.repo = self.cache / "models--org--model"

    def environment(self, **extra):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "HF_HOME": str(self.home),
            "HF_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **extra,
        }

    def start(self, command, **extra):
        return subprocess.Popen(command, env=self.environment(**extra), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process):
        out, err = process.communicate()
        self.assertEqual(process.returncode, 0, err)
        return out.strip()

    def ours(self, verb="fetch", revision="main", **extra):
        return self.finish(self.start([PROGRAM, verb, REPO, revision], **extra))

    def python(self, expression, **extra):
        code = f"import huggingface_hub; from huggingface_hub import *; from huggingface_hub import constants; print({expression})"
        return self.finish(self.start([sys.executable, "-c", code], **extra))

    def asked_for_bytes(self):
        return [line for line in self.server.asked if line.startswith("GET") and ("/resolve/" in line or "/storage/" in line)]

    @staticmethod
    def paths(snapshot):
        return "\n".join([snapshot, *(f"{snapshot}/{name}" for name in NEEDED)])

    def assert_whole(self, snapshot):
        for name in NEEDED:
            self.assertEqual((pathlib.Path(snapshot) / name).read_bytes(), FILES[name])
            self.assertEqual(os.readlink(pathlib.Path(snapshot) / name), f"../../blobs/{etag_of(name)}")

    def test_what_python_downloaded_whole_is_found_without_a_request(self):
        for revision in REVISIONS:
            theirs = self.python(f"snapshot_download('{REPO}', revision='{revision}')")
            self.server.asked.clear()
            self.assertEqual(self.ours("find", revision), theirs)
            self.assertEqual(self.ours("fetch", revision), theirs)
            self.assertEqual(self.ours("fetch", COMMIT), theirs)
            self.assertEqual(self.server.asked, [])
            self.assert_whole(theirs)

    def test_what_python_downloaded_file_by_file_is_found_without_a_request(self):
        self.python(f"[hf_hub_download('{REPO}', name) for name in {NEEDED}]")
        self.server.asked.clear()
        self.assert_whole(self.ours())
        self.assertEqual(self.server.asked, [])

    def test_what_python_downloaded_in_part_is_completed(self):
        self.python(f"hf_hub_download('{REPO}', '{LARGE}')")
        self.server.asked.clear()
        self.assert_whole(self.ours())
        self.assertEqual([line for line in self.asked_for_bytes() if LARGE in line], [])

    def test_what_we_downloaded_python_finds_offline(self):
        for revision in REVISIONS:
            ours = self.ours("fetch", revision)
            self.assert_whole(ours)
            self.server.asked.clear()
            whole = f"snapshot_download('{REPO}', revision='{revision}')"
            single = f"[hf_hub_download('{REPO}', name, revision='{revision}') for name in {NEEDED}]"
            self.assertEqual(self.python(f"{whole}, *{single}, sep='\\n'", HF_HUB_OFFLINE="1"), self.paths(ours))
            self.assertEqual(self.server.asked, [])

    def test_what_we_downloaded_python_does_not_download_again(self):
        ours = self.ours()
        self.server.asked.clear()
        whole = f"snapshot_download('{REPO}', allow_patterns={NEEDED})"
        single = f"[hf_hub_download('{REPO}', name) for name in {NEEDED}]"
        self.assertEqual(self.python(f"{whole}, *{single}, sep='\\n'"), self.paths(ours))
        self.assertEqual(self.asked_for_bytes(), [])

    def test_python_completes_what_we_left_unfinished_and_the_other_way_round(self):
        partial = self.repo / "blobs" / f"{etag_of(LARGE)}.incomplete"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(FILES[LARGE][:1000])
        theirs = self.python(f"hf_hub_download('{REPO}', '{LARGE}')")
        self.assertEqual(pathlib.Path(theirs).read_bytes(), FILES[LARGE])
        self.assert_whole(self.ours())

    def test_absent_files_are_remembered_for_each_other(self):
        self.server.files.remove("tokenizer.json")
        self.ours()
        known = self.python(f"try_to_load_from_cache('{REPO}', 'tokenizer.json') is huggingface_hub._CACHED_NO_EXIST")
        self.assertEqual(known, "True")
        (self.repo / ".no_exist" / COMMIT / "tokenizer.json").unlink()
        self.finish_failing(f"hf_hub_download('{REPO}', 'tokenizer.json')")
        self.server.asked.clear()
        self.ours()
        self.assertEqual(self.server.asked, [])

    def finish_failing(self, expression):
        with self.assertRaises(AssertionError) as caught:
            self.python(expression)
        self.assertIn("Entry Not Found", str(caught.exception))

    def test_we_wait_for_a_lock_that_python_holds(self):
        import filelock

        lock_path = self.cache / ".locks" / "models--org--model" / f"{etag_of(LARGE)}.lock"
        lock_path.parent.mkdir(parents=True)
        with filelock.FileLock(str(lock_path)):
            process = self.start([PROGRAM, "fetch", REPO, "main"])
            deadline = time.monotonic() + 60
            while not any("GET" in line and "tokenizer_config.json" in line for line in self.server.asked):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            (self.repo / "blobs" / etag_of(LARGE)).write_bytes(FILES[LARGE])
        self.assert_whole(self.finish(process))
        self.assertEqual([line for line in self.asked_for_bytes() if LARGE in line], [])

    def test_both_at_the_same_time_download_the_weights_once(self):
        code = f"from huggingface_hub import *; print(snapshot_download('{REPO}', allow_patterns={NEEDED}))"
        both = [self.start([sys.executable, "-c", code]), self.start([PROGRAM, "fetch", REPO, "main"])]
        theirs, ours = [self.finish(process) for process in both]
        self.assertEqual(ours, theirs)
        self.assert_whole(ours)
        self.assertEqual(len([line for line in self.asked_for_bytes() if "/storage/" in line]), 1)

    def pruned(self):
        return self.finish(self.start([PROGRAM, "prune"])).split()

    def scanned(self):
        """{commit: names} of what Python finds in the cache; nothing of it is broken."""
        found = self.python("(lambda i: (list(map(str, i.warnings)), {r.commit_hash: sorted(r.refs) for o in i.repos for r in o.revisions}))(scan_cache_dir())")
        warnings, revisions = ast.literal_eval(found)
        self.assertEqual(warnings, [])
        return revisions

    def test_python_sees_nothing_of_our_records_and_nothing_broken_after_a_prune(self):
        self.ours()
        self.ours("fetch", "other")
        self.python(f"hf_hub_download('{REPO}', 'config.json', revision='step3000')")  # a branch of Python's for our commit
        self.assertEqual(self.scanned(), {COMMIT: ["main", "step3000"], OTHER_COMMIT: ["other"]})
        self.assertEqual(self.python("scan_cache_dir().size_on_disk"), str(sum(len(FILES[name]) for name in NEEDED)))
        self.assertEqual(self.pruned(), [COMMIT, OTHER_COMMIT])
        self.assertEqual(self.scanned(), {})
        self.assertEqual(list((self.repo / "blobs").iterdir()), [])
        self.assert_whole(self.python(f"snapshot_download('{REPO}', allow_patterns={NEEDED})"))
        self.assertEqual(self.pruned(), [])  # Python's now, though it was ours once

    def test_what_python_downloaded_stays_with_the_blobs_that_ours_shared(self):
        theirs = self.python(f"snapshot_download('{REPO}')")
        self.ours("fetch", "other")
        self.assertEqual(self.pruned(), [])  # nothing of it is ours alone
        self.assert_whole(theirs)
        self.assertEqual(self.scanned(), {COMMIT: ["main"], OTHER_COMMIT: ["other"]})

    def test_what_python_shares_with_ours_stays_when_ours_goes(self):
        self.ours("fetch", "other")
        self.python(f"hf_hub_download('{REPO}', 'config.json')")
        self.assertEqual(self.pruned(), [OTHER_COMMIT])
        self.assertEqual(self.scanned(), {COMMIT: ["main"]})
        self.assertEqual((self.repo / "snapshots" / COMMIT / "config.json").read_bytes(), FILES["config.json"])

    def test_a_revision_that_python_added_to_or_began_is_pythons(self):
        self.ours()
        self.python(f"hf_hub_download('{REPO}', 'README.md')")
        self.python(f"hf_hub_download('{REPO}', '{LARGE}', revision='other')")
        self.ours("fetch", "other")
        self.assertEqual(self.pruned(), [])
        self.assertEqual(self.scanned(), {COMMIT: ["main"], OTHER_COMMIT: ["other"]})

    def test_what_python_deleted_and_fetched_again_is_pythons(self):
        self.ours()
        self.python(f"scan_cache_dir().delete_revisions('{COMMIT}').execute()")
        self.assertFalse((self.repo / "snapshots" / COMMIT).exists())
        self.python(f"snapshot_download('{REPO}', allow_patterns={NEEDED})")
        self.assertEqual(self.pruned(), [])
        self.assertEqual(self.scanned(), {COMMIT: ["main"]})

    def test_what_another_process_of_ours_uses_stays_until_that_ends(self):
        for end in ("exit", "kill"):
            user = subprocess.Popen([PROGRAM, "use", REPO, "main"], env=self.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            snapshot = user.stdout.readline().strip()
            self.assertEqual(self.pruned(), [])
            self.assert_whole(snapshot)
            if end == "kill":
                user.kill()
            user.communicate()
            self.assertEqual(self.pruned(), [COMMIT])

    def test_a_blob_that_python_locks_stays_until_it_is_free(self):
        import filelock

        self.ours()
        lock_path = self.cache / ".locks" / "models--org--model" / f"{etag_of(LARGE)}.lock"
        with filelock.FileLock(str(lock_path)):
            self.pruned()
            self.assertTrue((self.repo / "blobs" / etag_of(LARGE)).exists())
        self.assertEqual(self.pruned(), [COMMIT])
        self.assertFalse((self.repo / "blobs" / etag_of(LARGE)).exists())

    def test_the_environment_means_the_same(self):
        (self.home / "token").write_text("from_home\n")
        (self.home / "other").write_text(" from_path \n")
        theirs = "constants.ENDPOINT, constants.HF_HUB_CACHE, get_token(), constants.HF_HUB_DOWNLOAD_TIMEOUT, int(constants.HF_HUB_OFFLINE)"
        for extra in [
            {},
            {"HF_ENDPOINT": "https://mirror.example/hf/"},
            {"HF_HOME": "$HOME/x", "HF_TOKEN": "given\n"},
            {"HF_HUB_CACHE": "~/y", "HF_TOKEN_PATH": "${HOME}/other", "HF_HUB_DOWNLOAD_TIMEOUT": "33"},
            {"HUGGINGFACE_HUB_CACHE": "/legacy", "HUGGING_FACE_HUB_TOKEN": "legacy", "HF_HUB_OFFLINE": "yes"},
            {"HUGGINGFACE_HUB_CACHE": "/legacy", "HF_HUB_CACHE": "/new", "TRANSFORMERS_OFFLINE": "ON"},
            {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"},
        ]:
            with self.subTest(extra):
                expected = self.python(f"*({theirs}), sep='\\n'", **extra)
                self.assertEqual(self.finish(self.start([PROGRAM, "options"], **extra)), expected)


if __name__ == "__main__":
    if importlib.util.find_spec("huggingface_hub") is None:
        print("skipped: huggingface_hub is not installed (deploy/install.sh --tests)")
        sys.exit(77)
    PROGRAM = sys.argv.pop(1)
    unittest.main()
