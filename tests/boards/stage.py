#!/usr/bin/env python3
"""Four induct-servers in four situations, watched by Prometheus with the rules of deploy/prometheus: what the pictures of the boards show.

    tests/boards/stage.py BIN_FOLDER MINUTES     Prometheus answers on http://127.0.0.1:9097 until this ends

gpu01 works as it should; of gpu02 the hub hangs, so that its queue is stuck; gpu03 has memory for one model and is asked for two in turn; gpu04 may have
little memory and is asked for much. All four work as they should for the first fifth of the time. Jobs are real, and small enough for two cores.
"""
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from prometheus import PROMETHEUS  # noqa: E402
from tiny_hub import TinyHub  # noqa: E402
from tiny_model import write_tiny_model  # noqa: E402

PROMETHEUS_PORT = 9097
SMALL = ["--n_sequences", "400", "--no_report", "--no_figures"]
LARGE = ["--n_sequences", "4000", "--task_types", "RANDOM", "--lag_values", "50", "--seq_len", "256", "--no_report", "--no_figures"]
LONG_PROMPTS = ["--task_types", "RANDOM", "--lag_values", "100", "--n_repeats", "fill", "--seq_len", "512", "--batch_size", "4096", "--no_report",
                "--no_figures"]
# In the memory of gpu04 the first fits after its micro-batches were halved, the second not at all.
BIG, TOO_BIG = ["--n_sequences", "800", *LONG_PROMPTS], ["--n_sequences", "3000", *LONG_PROMPTS]
SPARE_BYTES = 600 << 20  # that gpu04 may take beyond what it has when its trouble begins


class Stage:
    def __init__(self, bin_folder, minutes):
        self.bin, self.folder = pathlib.Path(bin_folder).resolve(), pathlib.Path(tempfile.mkdtemp(prefix="induct-stage-"))
        self.begin, self.seconds = time.monotonic(), 60 * minutes
        self.processes, self.addresses, self.targets = [], {}, []
        write_tiny_model(self.folder / "repository", seed=3)
        self.hub = TinyHub("org/tiny", self.folder / "repository", {"main": "a" * 40})
        self.hub.held.set()

    def in_trouble(self):
        return time.monotonic() - self.begin > self.seconds / 5

    def is_over(self):
        return time.monotonic() - self.begin > self.seconds

    def start(self, *command, **options):
        process = subprocess.Popen([str(word) for word in command], cwd=self.folder, stdout=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def start_server(self, name, settings=""):
        log = self.folder / f"{name}.log"
        (self.folder / f"{name}.yaml").write_text(f"listen: 127.0.0.1:0\nmetrics_listen: 0\n{settings}")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "INDUCT_MODEL_DIRS": str(ROOT / "deploy" / "demo_models"),
                       "HF_ENDPOINT": self.hub.address, "HF_HUB_DOWNLOAD_TIMEOUT": "86400", "MALLOC_ARENA_MAX": "2"}
        with open(log, "w") as stderr:
            process = self.start(self.bin / "induct-server", "--settings", f"{name}.yaml", stderr=stderr, env=environment)
        while not (found := re.search(r"listening on (\S+),", log.read_text())):
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.05)
        self.addresses[name] = found[1]
        metrics = re.search(r"metrics on http://(\S+)/metrics", log.read_text())[1]
        self.targets.append(f"- {{targets: ['{metrics}'], labels: {{instance: {name}}}}}\n")
        return process

    def start_prometheus(self):
        (self.folder / "servers.yml").write_text("".join(self.targets))
        (self.folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 2s, evaluation_interval: 5s}}\nrule_files: ['{ROOT}/deploy/prometheus/rules/*.yml']\n"
            "scrape_configs:\n  - {job_name: induct, file_sd_configs: [{files: [servers.yml]}]}\n")
        with open(self.folder / "prometheus.log", "w") as log:
            self.start(PROMETHEUS, "--config.file", "prometheus.yml", "--storage.tsdb.path", "data",
                       "--web.listen-address", f"127.0.0.1:{PROMETHEUS_PORT}", stderr=log)

    # A client's work; `user` so that owners differ.
    def client(self, server, *arguments, user="ada"):
        output = self.folder / f"output-{time.monotonic_ns()}"
        return self.start(self.bin / "induct-client", *arguments, "--server", self.addresses[server], "--output_dir", output, "--quiet",
                          stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "USER": user})

    def together(self, server, *jobs):
        clients = [self.client(server, *job, user=f"user{i}") for i, job in enumerate(jobs)]
        for client in clients:
            client.wait()

    def repeat(self, pause, work):
        """Calls work() in a thread of its own until the end, with pauses."""
        def loop():
            while not self.is_over():
                work()
                time.sleep(pause)
        threading.Thread(target=loop, daemon=True).start()

    def healthy(self):
        at = ["--model", "demo-large"]
        self.together("gpu01", ["profile", *at, *LARGE], ["nulls", *at, *SMALL], ["causal", *at, *SMALL, "--draws", "5"],
                      ["lagbuckets", *at, *SMALL], ["pattern", "--model", "demo-small", "--head", "3.0", "--prompt", "5"],
                      ["crosssize", "--models", "demo-small", "demo-large", *SMALL], ["profile", "--model", "no-such-model"],
                      ["profile", "--model", "demo-small", *SMALL, "--seq_len", "1024"])

    def stuck(self):
        if not self.in_trouble():
            return self.together("gpu02", *[["profile", "--model", "demo-large", *SMALL]] * 3)
        # Both threads that prepare jobs wait for the hub, and whoever comes afterwards waits for them.
        for _ in range(2):
            self.client("gpu02", "profile", "--model", "org/tiny", *SMALL)
        time.sleep(2)
        while not self.is_over():
            self.client("gpu02", "profile", "--model", "demo-large", *SMALL)
            time.sleep(self.seconds / 16)

    def thrash(self):
        models = ["demo-small", "demo-large"] if self.in_trouble() else ["demo-small"] * 2
        for model in models:
            self.together("gpu03", ["profile", "--model", model, *SMALL])

    def out_of_memory(self, server):
        if not self.in_trouble():
            return self.together("gpu04", ["profile", "--model", "demo-large", *SMALL])
        if resource.prlimit(server.pid, resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
            pages = int(pathlib.Path(f"/proc/{server.pid}/statm").read_text().split()[0])
            bytes_ = pages * resource.getpagesize() + SPARE_BYTES
            resource.prlimit(server.pid, resource.RLIMIT_AS, (bytes_, bytes_))
        self.together("gpu04", ["profile", "--model", "demo-large", *SMALL], *[["profile", "--model", "demo-large", *size] for size in (BIG, TOO_BIG)])

    def run(self):
        for name, settings in (("gpu01", ""), ("gpu02", ""), ("gpu03", "model_memory_mb: 5\n")):
            self.start_server(name, settings)
        small_memory = self.start_server("gpu04", "activation_budget_mb: 262144\n")
        self.start_prometheus()
        print(f"http://127.0.0.1:{PROMETHEUS_PORT}, logs in {self.folder}", flush=True)
        self.repeat(25, self.healthy)
        self.repeat(15, self.stuck)
        self.repeat(5, self.thrash)
        self.repeat(10, lambda: self.out_of_memory(small_memory))
        while not self.is_over():
            time.sleep(1)

    def end(self):
        self.seconds = 0
        while running := [process for process in self.processes if process.poll() is None]:  # a thread may be starting one more
            for process in running:
                process.kill()
            time.sleep(0.1)
        self.hub.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    if not PROMETHEUS:
        sys.exit("there is no Prometheus; deploy/install.sh --tests gets it")
    stage = Stage(sys.argv[1], float(sys.argv[2]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        stage.run()
    finally:
        stage.end()


if __name__ == "__main__":
    main()
