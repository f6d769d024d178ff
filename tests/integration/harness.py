"""Starts the two programs in a folder of their own and waits on conditions, never on fixed times."""
import array
import ast
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

from tiny_hub import TinyHub
from tiny_model import write_tiny_model

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["INDUCT_TEST_BIN"])
CLIENT, SERVER = BIN / "induct-client", BIN / "induct-server"
DEMO_MODELS = ROOT / "deploy" / "demo_models"

# Minutes of work on any machine: something to interrupt.
LONG = ["--n_sequences", "60000", "--task_types", "RANDOM", "--lag_values", "100", "--n_repeats", "fill", "--seq_len", "512"]


def wait_for(condition, what, seconds=300):
    """The first true value of condition(). Long, as programs with sanitizers on a busy machine take ten times as long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def read_npy(path):
    """(dtype, shape, values) of a .npy file of float32 or uint32, without NumPy."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", path
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + length].decode())
    assert not header["fortran_order"]
    values = array.array({"<f4": "f", "<u4": "I"}[header["descr"]])
    values.frombytes(data[10 + length:])
    return header["descr"], header["shape"], list(values)


def write_npy(path, rows, descr="<i8"):
    """A matrix of whole numbers."""
    code = {"<i8": "q", "<u2": "H", "<f4": "f"}[descr]
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}"
    header = header.ljust(117) + "\n"
    body = array.array(code, [x for row in rows for x in row]).tobytes()
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body)


def processes_with(text):
    """Command lines of the live processes that hold `text` (zombies have none)."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if text in line and int(entry.name) != os.getpid():
                    found.append((int(entry.name), line))
    return found


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="induct-test-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("INDUCT_", "HF_"))}
        self.env.update(HOME=str(self.dir), XDG_CONFIG_HOME=str(self.dir / "config"), USER="tester", HF_HUB_OFFLINE="1",
                        INDUCT_MODEL_DIRS=str(DEMO_MODELS))

    def client(self, *args, check=0, stdin=None, env=None):
        """Runs the client to its end; `check` is the exit code expected."""
        result = subprocess.run([CLIENT, *map(str, args)], cwd=self.dir, env={**self.env, **(env or {})}, capture_output=True, text=True,
                                timeout=300, stdin=stdin)
        self.assertEqual(result.returncode, check, f"{args}\nstdout: {result.stdout}\nstderr: {result.stderr}")
        return result

    def start_client(self, *args):
        process = subprocess.Popen([CLIENT, *map(str, args)], cwd=self.dir, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self._end, process)
        return process

    def start_server(self, *args, settings=None):
        """A server on a port of its own; (process, address)."""
        arguments = ["--listen", "127.0.0.1:0", *args]
        if settings is not None:
            (self.dir / "server.yaml").write_text(settings)
            arguments += ["--settings", str(self.dir / "server.yaml")]
        log = self.dir / f"server-{time.monotonic_ns()}.log"
        with open(log, "w") as stderr:
            process = subprocess.Popen([SERVER, *arguments], cwd=self.dir, env=self.env, stderr=stderr, stdout=subprocess.DEVNULL)
        process.log = log
        self.addCleanup(self._end, process)
        found = wait_for(lambda: re.search(r"listening on (\S+),", log.read_text()) or process.poll() is not None, "the server to listen")
        self.assertIsNone(process.poll(), log.read_text())
        return process, found[1]

    def start_hub(self, commits):
        """A hub of our own with org/tiny at these revisions, which clients and servers that start from now on use."""
        write_tiny_model(self.dir / "repository", seed=3)
        hub = TinyHub("org/tiny", self.dir / "repository", commits)
        self.addCleanup(hub.close)
        self.env.pop("HF_HUB_OFFLINE", None)
        self.env.update(HF_ENDPOINT=hub.address, HF_HOME=str(self.dir / "hf"))
        return hub

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def runs(self):
        base = self.dir / "outputs" / "runs"
        return sorted(base.iterdir()) if base.exists() else []

    def run_dir(self):
        runs = self.runs()
        self.assertEqual(len(runs), 1, runs)
        return runs[0]

    def json(self, path):
        return json.loads(pathlib.Path(path).read_text())

    def job_states(self, address):
        out = self.client("jobs", "--server", address, "--json").stdout
        return [job["state"] for job in json.loads(out)["jobs"]]

    def wait_for_state(self, address, state):
        wait_for(lambda: state in self.job_states(address), f"a job to be {state}")

    def assert_close(self, a, b, where):
        """The same but for the rounding of another order of sums."""
        self.assertEqual(type(a), type(b), where)
        if isinstance(a, dict):
            self.assertEqual(a.keys(), b.keys(), where)
            for key in a:
                self.assert_close(a[key], b[key], f"{where} {key}")
        elif isinstance(a, list):
            self.assertEqual(len(a), len(b), where)
            for i, (x, y) in enumerate(zip(a, b)):
                self.assert_close(x, y, f"{where} {i}")
        elif isinstance(a, float):
            self.assertAlmostEqual(a, b, delta=1e-5 * max(1, abs(a)), msg=where)
        else:
            self.assertEqual(a, b, where)

    def assert_no_broken_files(self, folder):
        """Every file with a known name is whole."""
        for path in folder.rglob("*"):
            if path.suffix == ".npy":
                read_npy(path)
            elif path.suffix == ".json":
                self.json(path)
            elif path.suffix == ".jsonl":
                [json.loads(line) for line in path.read_text().splitlines()]
            elif path.suffix == ".png":
                data = path.read_bytes()
                self.assertTrue(data.startswith(b"\x89PNG") and data.rstrip().endswith(b"IEND\xaeB`\x82"), path)


SIGKILL, SIGTERM, SIGINT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
