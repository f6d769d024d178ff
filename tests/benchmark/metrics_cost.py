"""What metrics cost jobs, on the demo models, by pairs that take turns in who is first:

    metrics_cost.py BIN_FOLDER [--rounds 12] [--prompts 1000] [--jobs 200] [--scrapes 10]

A pass on a server with metrics and on one without; as many small jobs on each; and a pass while somebody reads the page so many times a second and
while nobody does. Of a pass the seconds on the device's thread count, of a small job all until its client has ended. Each line gives the median of the
pairs' ratios, with the middle half of them, and the ratio of what the servers' processes took of the cores in all pairs, which other programs on the
machine disturb less.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASS = ["--model", "demo-large", "--task_types", "RANDOM", "--lag_values", "50", "--seq_len", "256"]
SMALL = ["--model", "demo-small", "--task_types", "ABAB", "--n_sequences", "8"]


class Server:
    def __init__(self, programs, folder, name, settings):
        self.programs, self.folder = programs, folder
        log = folder / f"{name}.log"
        (folder / f"{name}.yaml").write_text(f"listen: 127.0.0.1:0\n{settings}")
        with open(log, "w") as stderr:
            self.process = subprocess.Popen([programs / "induct-server", "--settings", f"{name}.yaml"], cwd=folder, stderr=stderr,
                                            env={**os.environ, "INDUCT_MODEL_DIRS": str(ROOT / "deploy" / "demo_models")})
        while not (found := re.search(r"listening on (\S+),", log.read_text())):
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.01)
        self.address, page = found[1], re.search(r"metrics on (\S+)", log.read_text())
        self.page = page and page[1]

    def close(self):
        self.process.kill()
        self.process.wait()

    def cpu_seconds(self):
        """Of the process, all threads, so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self, arguments, whole=False):
        """Seconds on the device's thread, or with `whole` of all; and of the cores."""
        cpu = self.cpu_seconds()
        output = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        begin = time.monotonic()
        subprocess.run([self.programs / "induct-client", "profile", *arguments, "--server", self.address, "--output_dir", output, "--quiet", "--no_report",
                        "--no_figures"], check=True, stdout=subprocess.DEVNULL)
        wall = time.monotonic() - begin
        [metadata] = output.glob("runs/*/metadata.json")
        return wall if whole else json.loads(metadata.read_text())["seconds"]["running"], self.cpu_seconds() - cpu


@contextlib.contextmanager
def scraped(server, times_a_second):
    """Reads the page until the end, each time when it is due: a slow answer delays the next by no more than it takes."""
    ended, read = threading.Event(), []

    def scrape():
        due = time.monotonic()
        while not ended.wait(max(0, due - time.monotonic())):
            due += 1 / times_a_second
            with urllib.request.urlopen(server.page) as answer:
                read.append(len(answer.read()))

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield read
    finally:
        ended.set()
        thread.join()


def in_turn(rounds, one, other):
    """[(what one says, what the other says)], each as often the first."""
    pairs = []
    for i in range(rounds):
        if i % 2 == 0:
            pairs.append((one(), other()))
        else:
            second = other()
            pairs.append((one(), second))
    return pairs


def told(what, pairs, more=""):
    low, middle, high = statistics.quantiles([one / other for (one, _), (other, _) in pairs], n=4)
    cpu = sum(one for (_, one), _ in pairs) / sum(other for _, (_, other) in pairs)
    print(f"{what}: {middle:.3f} of the time without ({low:.3f} to {high:.3f}), {cpu:.3f} of the cores' time; {len(pairs)} pairs of "
          f"{statistics.median(other for _, (other, _) in pairs):.2f} s{more}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--prompts", type=int, default=1000, help="of a pass")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--scrapes", type=float, default=10, help="a second")
    given = parser.parse_args()
    programs, of_pass = given.programs.resolve(), [*PASS, "--n_sequences", str(given.prompts)]
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        watched, bare = (stack.enter_context(contextlib.closing(Server(programs, pathlib.Path(scratch), name, settings)))
                         for name, settings in (("watched", "metrics_listen: 0\n"), ("bare", "")))
        for server in (watched, bare):  # loads the models, and chooses the products
            for _ in range(2):
                server.run(of_pass)
                server.run(SMALL)

        told("a pass on a server with metrics", in_turn(given.rounds, lambda: watched.run(of_pass), lambda: bare.run(of_pass)))
        told("small jobs on a server with metrics", in_turn(given.jobs, lambda: watched.run(SMALL, whole=True), lambda: bare.run(SMALL, whole=True)))
        sizes = []

        def while_scraped():
            with scraped(watched, given.scrapes) as read:
                seconds = watched.run(of_pass)
            sizes.extend(read)
            return seconds

        told(f"a pass while the page is read {given.scrapes:g} times a second", in_turn(given.rounds, while_scraped, lambda: watched.run(of_pass)),
             f"; {len(sizes)} pages of {statistics.median(sizes) / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
