"""What the page of metrics says, against what happened."""
import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import time
import unittest
import urllib.request

from harness import DEMO_MODELS, LONG, SERVER, SIGINT, SIGKILL, ProgramTest, wait_for
from prometheus import PROMTOOL

SMALL = ["--n_sequences", "8", "--task_types", "ABAB", "--no_report"]
KINDS = ["profile", "crosssize", "nulls", "causal", "lagbuckets", "pattern", "targets"]
WAITING = [.01, .1, 1, 5, 15, 60, 300, 900, 3600, 14400]
WORK = [.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400]

# Family: type and label names.
FAMILIES = {
    "induct_build_info": ("gauge", {"version", "libtorch"}),
    "induct_jobs_total": ("counter", {"kind", "outcome"}),
    "induct_job_failures_total": ("counter", {"reason"}),
    "induct_rejections_total": ("counter", {"reason"}),
    "induct_jobs_queued": ("gauge", set()),
    "induct_queue_limit": ("gauge", set()),
    "induct_queue_oldest_seconds": ("gauge", set()),
    "induct_jobs_running": ("gauge", {"device"}),
    "induct_job_queue_seconds": ("histogram", {"kind"}),
    "induct_job_prepare_seconds": ("histogram", {"kind"}),
    "induct_job_run_seconds": ("histogram", {"kind"}),
    "induct_tokens_total": ("counter", {"device"}),
    "induct_prompts_total": ("counter", {"device"}),
    "induct_layers_total": ("counter", {"device"}),
    "induct_device_busy_seconds_total": ("counter", {"device"}),
    "induct_device_memory_used_bytes": ("gauge", {"device"}),
    "induct_device_memory_total_bytes": ("gauge", {"device"}),
    "induct_model_resident_bytes": ("gauge", {"model", "device"}),
    "induct_model_budget_bytes": ("gauge", {"device"}),
    "induct_model_loads_total": ("counter", {"outcome"}),
    "induct_model_load_seconds": ("histogram", {"source"}),
    "induct_model_evictions_total": ("counter", {"device"}),
    "induct_streamed_bytes_total": ("counter", set()),
    "induct_hub_downloaded_bytes_total": ("counter", set()),
    "induct_streams_open": ("gauge", set()),
    "induct_stream_disconnects_total": ("counter", set()),
    "induct_micro_batch_halvings_total": ("counter", set()),
    "induct_kept_jobs": ("gauge", set()),
    "induct_kept_bytes": ("gauge", set()),
    "induct_disk_free_bytes": ("gauge", {"volume"}),
    "induct_running_job_info": ("gauge", {"device", "kind", "model"}),
    "induct_running_job_progress": ("gauge", {"device"}),
    "process_start_time_seconds": ("gauge", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
}


class Page:
    """A page of metrics, read. page("jobs_total", kind="profile") is the sum of the series with these labels."""

    def __init__(self, text):
        self.text = text
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        self.helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.M))
        self.series = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line).groups()
                self.series.append((name, dict(re.findall(r'(\w+)="((?:\\.|[^"\\])*)"', labels or "")), float(value)))

    def having(self, name, **labels):
        names = (name, f"induct_{name}")
        return [(l, v) for n, l, v in self.series if n in names and labels.items() <= l.items()]

    def __call__(self, name, **labels):
        return sum(value for _, value in self.having(name, **labels))


class MetricsTest(ProgramTest):
    def start(self, settings=""):
        """A server with metrics on a free port: (process, address)."""
        process, address = self.start_server(settings=f"metrics_listen: 0\n{settings}")
        self.url = re.search(r"metrics on (http://127\.0\.0\.1:\d+/metrics)", process.log.read_text())[1]
        return process, address

    def page(self):
        with urllib.request.urlopen(self.url, timeout=20) as answer:
            self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
            return Page(answer.read().decode())

    def wait_for_value(self, value, name, **labels):
        wait_for(lambda: self.page()(name, **labels) == value, f"{name} {labels} to be {value}")

    def started_job(self, address, *args):
        client = self.start_client("profile", "--model", "demo-small", *LONG, "--server", address, *args)
        self.wait_for_value(1, "jobs_running", device="cpu")
        return client

    def run_each_kind(self, address):
        at = ["--server", address, *SMALL]
        self.client("profile", "--model", "demo-small", *at)
        self.client("crosssize", "--models", "demo-small", "demo-large", *at)
        self.client("nulls", "--model", "demo-small", "--null_resamples", "19", "--permutation_resamples", "19", *at)
        self.client("causal", "--model", "demo-small", "--draws", "2", *at)
        self.client("lagbuckets", "--model", "demo-small", *at)
        self.client("pattern", "--model", "demo-small", "--head", "3.0", "--prompt", "5", *at)
        self.client("targets", "--model", "demo-small", "--detect", "self", *at)

    def interrupt(self, client):
        client.send_signal(SIGINT)
        client.communicate(timeout=60)
        self.assertEqual(client.returncode, 130)


class PageTest(MetricsTest):
    def test_everything_is_there_from_the_start_and_nothing_has_happened(self):
        self.start(settings="limits: {max_queued: 77}\nmodel_memory_mb: 10\n")
        page = self.page()
        self.assertEqual(page.types, {name: kind for name, (kind, _) in FAMILIES.items()})
        self.assertEqual(page.helps.keys(), FAMILIES.keys())
        for name, (kind, expected) in FAMILIES.items():
            for series, labels, _ in page.series:
                if series in ([f"{name}_{part}" for part in ("bucket", "sum", "count")] if kind == "histogram" else [name]):
                    self.assertEqual(labels.keys() - {"le"}, expected, series)
        for kind in KINDS:
            for outcome in ("succeeded", "failed", "cancelled"):
                self.assertEqual(page.having("jobs_total", kind=kind, outcome=outcome), [({"kind": kind, "outcome": outcome}, 0)])
        for name, bounds, labels in (("job_queue", WAITING, len(KINDS)), ("job_prepare", WORK, len(KINDS)), ("job_run", WORK, len(KINDS)),
                                     ("model_load", WORK, 2)):
            buckets = page.having(f"{name}_seconds_bucket")
            self.assertEqual([float(l["le"]) for l, _ in buckets], [*bounds, float("inf")] * labels)
        counted = [(name, labels) for name, labels, value in page.series
                   if value != 0 and page.types.get(name) != "gauge" and not name.startswith("process_")]
        self.assertEqual(counted, [])
        self.assertEqual(page("queue_limit"), 77)
        self.assertEqual(page("model_budget_bytes", device="cpu"), 10 << 20)
        self.assertGreater(page("device_memory_total_bytes", device="cpu"), page("device_memory_used_bytes", device="cpu"))
        self.assertGreater(page("device_memory_used_bytes", device="cpu"), 1 << 20)
        free = shutil.disk_usage(self.dir).free
        self.assertAlmostEqual(page("disk_free_bytes", volume="model_cache"), free, delta=0.2 * free)
        [(build, one)] = page.having("build_info")
        self.assertEqual(one, 1)
        self.assertIn(f"{build['version']}, LibTorch {build['libtorch']}", subprocess.run([SERVER, "--version"], capture_output=True, text=True).stdout)

    def test_the_process_is_the_servers(self):
        server, _ = self.start()
        page = self.page()
        self.assertAlmostEqual(page("process_start_time_seconds"), time.time(), delta=120)
        status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
        rss = 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])
        self.assertAlmostEqual(page("process_resident_memory_bytes"), rss, delta=0.3 * rss)

    @unittest.skipUnless(PROMTOOL, "there is no promtool")
    def test_promtool_finds_no_fault_in_names_and_types(self):
        self.start()
        check = subprocess.run([PROMTOOL, "check", "metrics"], input=self.page().text, capture_output=True, text=True)
        self.assertEqual((check.returncode, check.stdout + check.stderr), (0, ""))

    def test_without_the_setting_nothing_is_served(self):
        server, _ = self.start_server()
        self.assertNotIn("metrics", server.log.read_text())
        listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout if shutil.which("ss") else None
        if listening is not None:
            self.assertEqual(len([line for line in listening.splitlines() if f"pid={server.pid}," in line]), 1, listening)

    def test_a_private_server_has_no_metrics_whatever_the_settings_say(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            (self.dir / "s.yaml").write_text(f"metrics_listen: {taken.getsockname()[1]}\n")
            self.client("profile", "--model", "demo-small", *SMALL, "--settings", "s.yaml")

    def test_what_is_no_address_and_a_port_in_use_are_one_line_and_exit_code_1(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            for value, says in (("nonsense", '"nonsense" given; a port'), ("host:x", '"host:x" given'), (":9464", '":9464" given'),
                                (taken.getsockname()[1], f"cannot serve metrics on 127.0.0.1:{taken.getsockname()[1]}: the address is in use"),
                                ("192.0.2.1:9464", "192.0.2.1:9464: the address is in use or not this machine's"),
                                ("no-such-host.invalid:9464", "the host is not known: "),
                                ("[::1]:9464", "cannot serve metrics on [::1]:9464: it is an IPv6 address")):
                (self.dir / "s.yaml").write_text(f'metrics_listen: "{value}"\nlisten: 127.0.0.1:0\n')
                server = subprocess.run([SERVER, "--settings", "s.yaml"], cwd=self.dir, env=self.env, capture_output=True, text=True, timeout=60)
                self.assertEqual(server.returncode, 1, server.stderr)
                self.assertEqual(len(server.stderr.splitlines()), 1, server.stderr)
                self.assertIn(says, server.stderr)
        (self.dir / "s.yaml").write_text("metrics_listen: nonsense\n")
        check = subprocess.run([SERVER, "--settings", "s.yaml", "--check"], cwd=self.dir, env=self.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(check.returncode, 1)

    def test_stalled_scrapers_hold_up_neither_others_nor_jobs(self):
        _, address = self.start()
        host, port = re.search(r"//(.+):(\d+)/", self.url).groups()
        with contextlib.ExitStack() as stack:
            for begun in (b"GET /met", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
                stack.enter_context(socket.create_connection((host, int(port)))).sendall(begun)
            begin = time.monotonic()
            self.page()
            self.assertLess(time.monotonic() - begin, 1)
            self.client("profile", "--model", "demo-small", *SMALL, "--server", address)
        self.wait_for_value(1, "jobs_total", kind="profile", outcome="succeeded")


class JobsTest(MetricsTest):
    def test_a_job_of_each_kind_is_counted_with_what_it_measured(self):
        _, address = self.start()
        self.run_each_kind(address)
        for kind in KINDS:
            self.wait_for_value(1, "jobs_total", kind=kind, outcome="succeeded")
        page = self.page()
        self.assertEqual(page("jobs_total"), len(KINDS))
        self.assertEqual(page("job_failures_total") + page("rejections_total"), 0)
        for stage in ("queue", "prepare", "run"):
            for kind in KINDS:
                self.assertEqual(page(f"job_{stage}_seconds_count", kind=kind), 1, (stage, kind))
        self.assertAlmostEqual(page("job_run_seconds_sum"), page("device_busy_seconds_total", device="cpu"), places=6)

        runs = [self.json(run / "metadata.json") for run in self.runs()]
        seconds = {stage: sum(run["seconds"][stage] for run in runs) for stage in ("queued", "preparing", "running")}
        self.assertAlmostEqual(page("job_run_seconds_sum"), seconds["running"], delta=0.5)
        self.assertAlmostEqual(page("job_queue_seconds_sum") + page("job_prepare_seconds_sum"), seconds["queued"] + seconds["preparing"], delta=0.5)
        # crosssize measures each prompt by two models, pattern one prompt.
        self.assertEqual(page("prompts_total", device="cpu"), 8 + 2 * 8 + 8 + 8 + 8 + 1 + 8)
        self.assertEqual(page("tokens_total", device="cpu"), sum(int(run["n_tokens"]) for run in runs))
        # pattern and targets have no scores of layers.
        self.assertEqual(page("layers_total", device="cpu"), 4 + (4 + 8) + 4 + 4 + 4)
        self.assertEqual(page("model_loads_total", outcome="succeeded"), 2)
        self.assertEqual(page("model_load_seconds_count", source="disk"), 2)
        self.assertEqual(page("kept_jobs"), len(KINDS))
        artifacts = sum(path.stat().st_size for run in self.runs() for path in run.glob("*.npy"))
        self.assertGreater(page("kept_bytes"), artifacts)
        self.assertEqual({labels["model"] for labels, _ in page.having("model_resident_bytes")}, {"demo-small", "demo-large"})
        self.assertEqual((page("streams_open"), page("stream_disconnects_total")), (0, 0))

    def test_a_running_job_is_seen_advancing_and_is_gone_when_it_is_cancelled(self):
        _, address = self.start()
        client = self.started_job(address)
        wait_for(lambda: self.page()("running_job_progress", device="cpu") > 0, "progress")
        before = self.page()
        self.assertEqual(before.having("running_job_info"), [({"device": "cpu", "kind": "profile", "model": "demo-small"}, 1)])
        self.assertEqual((before("jobs_queued"), before("queue_oldest_seconds")), (0, 0))
        self.assertEqual(before("streams_open"), 1)
        for name in ("device_busy_seconds_total", "running_job_progress", "tokens_total", "prompts_total"):
            wait_for(lambda: self.page()(name, device="cpu") > before(name, device="cpu"), f"{name} to advance")
        self.assertEqual(self.page()("job_run_seconds_count"), 0)
        self.assertEqual(self.page()("jobs_total"), 0)

        self.interrupt(client)
        self.wait_for_value(1, "jobs_total", kind="profile", outcome="cancelled")
        after = self.page()
        self.assertEqual((after("jobs_total"), after("job_failures_total")), (1, 0))
        self.assertEqual((after("jobs_running"), after("running_job_progress"), after.having("running_job_info")), (0, 0, []))
        self.assertEqual(after("job_run_seconds_count", kind="profile"), 1)
        idle = after("device_busy_seconds_total")
        self.assertEqual(self.page()("device_busy_seconds_total"), idle)
        self.wait_for_value(0, "streams_open")

    def test_jobs_that_wait_are_counted_and_the_oldest_wait_grows(self):
        _, address = self.start()
        running = self.started_job(address)
        waiting = [self.start_client("profile", "--model", "demo-small", *SMALL, "--server", address, "--output_dir", str(i)) for i in range(3)]
        self.wait_for_value(3, "jobs_queued")
        oldest = self.page()("queue_oldest_seconds")
        wait_for(lambda: self.page()("queue_oldest_seconds") > oldest + 0.2, "the oldest wait to grow")
        self.interrupt(running)
        for client in waiting:
            self.assertEqual(client.wait(timeout=60), 0, client.stderr.read())
        self.wait_for_value(0, "jobs_queued")
        page = self.page()
        self.assertEqual(page("queue_oldest_seconds"), 0)
        self.assertGreater(page("job_queue_seconds_sum", kind="profile"), 3 * 0.2)

    def test_refused_requests_and_failed_jobs_are_counted_by_their_reason(self):
        _, address = self.start(settings="limits: {max_queued_per_owner: 1}\n")
        at = ["--server", address]
        self.client("profile", "--model", "demo-smal", *SMALL, *at, check=2)
        self.client("profile", "--model", "demo-small", "--lag_values", "1,2", *SMALL, *at, check=1)
        self.client("profile", "--model", "demo-small", *SMALL, "--seq_len", "1024", *at, check=1)
        self.client("profile", "--model", "demo-small", *LONG, "--run_deadline", "0.3", *at, check=1)
        self.wait_for_value(3, "jobs_total", kind="profile", outcome="failed")
        running = self.started_job(address)
        waiting = self.start_client("profile", "--model", "demo-small", *SMALL, *at)
        self.wait_for_value(1, "jobs_queued")
        self.client("profile", "--model", "demo-small", *SMALL, *at, "--output_dir", "refused", check=5)
        self.interrupt(running)
        self.assertEqual(waiting.wait(timeout=60), 0)

        page = self.page()
        self.assertEqual({labels["reason"]: value for labels, value in page.having("rejections_total") if value},
                         {"MODEL_NOT_FOUND": 1, "QUOTA_USED": 1})
        failures = {labels["reason"]: value for labels, value in page.having("job_failures_total") if value}
        self.assertEqual(failures, {"NO_COPY_OPERATIONS": 1, "PROMPT_TOO_LONG": 1, "DEADLINE": 1})

    def test_a_client_that_is_killed_is_a_disconnect(self):
        _, address = self.start(settings="disconnect_grace: 0.1\n")
        client = self.started_job(address)
        client.send_signal(SIGKILL)
        client.wait()
        self.wait_for_value(1, "stream_disconnects_total")
        self.wait_for_value(0, "streams_open")
        self.wait_for_value(1, "jobs_total", kind="profile", outcome="cancelled")


class ModelsTest(MetricsTest):
    def resident(self):
        return {labels["model"]: value for labels, value in self.page().having("model_resident_bytes", device="cpu")}

    def test_a_model_is_seen_while_it_is_resident(self):
        _, address = self.start()
        self.assertEqual(self.resident(), {})
        self.client("models", "load", "demo-small", "--server", address)
        inspected = json.loads(self.client("inspect", "demo-small", "--json", "--server", address).stdout)
        self.assertEqual(self.resident(), {"demo-small": float(inspected["resident_bytes"])})
        self.client("models", "unload", "demo-small", "--server", address)
        self.assertEqual(self.resident(), {})
        self.assertEqual(self.page()("model_evictions_total"), 0)

    def test_models_that_make_room_for_one_another_are_evictions(self):
        _, address = self.start(settings="model_memory_mb: 5\n")
        for model in ("demo-small", "demo-large", "demo-small"):
            self.client("profile", "--model", model, *SMALL, "--server", address)
            self.assertEqual(self.resident().keys(), {model})
        page = self.page()
        self.assertEqual((page("model_loads_total", outcome="succeeded"), page("model_evictions_total", device="cpu")), (3, 2))
        self.assertEqual(page("streamed_bytes_total"), 0)

    def test_streamed_layers_are_bytes(self):
        _, address = self.start(settings="model_memory_mb: 3\n")
        self.client("profile", "--model", "demo-large", *SMALL, "--server", address)
        stored = (DEMO_MODELS / "demo-large" / "model.safetensors").stat().st_size
        self.assertGreater(self.page()("streamed_bytes_total"), 0.5 * stored)
        self.assertEqual(self.resident(), {})

    def test_a_broken_checkpoint_is_a_failed_job_and_no_load(self):
        shutil.copytree(DEMO_MODELS, self.dir / "models")
        self.env["INDUCT_MODEL_DIRS"] = str(self.dir / "models")
        _, address = self.start()
        config = self.dir / "models" / "demo-small" / "config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "intermediate_size": 100}))
        self.client("profile", "--model", "demo-small", *SMALL, "--server", address, check=1)
        self.wait_for_value(1, "job_failures_total", reason="BAD_CHECKPOINT")
        self.assertEqual(self.page()("model_loads_total"), 0)

    def test_downloads_are_bytes_and_seconds(self):
        self.start_hub({"main": "a" * 40, "step3": "b" * 40})
        _, address = self.start()
        self.client("models", "load", "org/tiny@step3", "--server", address)
        page = self.page()
        files = sum(path.stat().st_size for path in (self.dir / "repository").iterdir())
        self.assertEqual(page("hub_downloaded_bytes_total"), files)
        self.assertEqual((page("model_load_seconds_count", source="hub"), page("model_load_seconds_count", source="disk")), (1, 1))
        self.assertEqual(self.resident().keys(), {"org/tiny"})  # of any revision


if __name__ == "__main__":
    unittest.main()
