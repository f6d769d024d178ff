"""What memory_saver costs beside weights that stay, on checkpoints on a disk:

    streaming.py BIN_FOLDER [--prompts 16] [--tokens 256] [--rounds 3] [--threads 2]

First pythia-410m's shape with its checkpoint in the page cache: time beside the resident pass, and the anonymous memory beside what it should
be, residual streams, two layers and one micro-batch. Then a model of three times the memory that its server may take (RLIMIT_DATA), out of the
page cache: time beside the longer of the resident pass and of reading the file. Jobs run in turn; tests/benchmark/peers.sh makes the
environment: its argument --streaming runs this.
"""

import contextlib
import os
import pathlib
import resource
import statistics
import sys
import tempfile
import threading

import peers

MIB = 1 << 20
MICRO_BATCH = 2048  # tokens, in the server
# Two layers, 0.4 GB each, are most of what a third of it has to hold.
peers.SHAPES["large"] = (16, 16, 2048)
# Reading takes a core from computing, which shows where there is little to compute: with 4 prompts of 128 tokens, 1.5.
LARGE_PROMPTS, LARGE_TOKENS = 8, 256


def anonymous(server):
    """Bytes that the server's process has of its own."""
    for line in pathlib.Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024


class Peak:
    """The most anonymous memory that a server has while it is entered, beyond what it had before."""

    def __init__(self, server):
        self.server, self.bytes, self.ended = server, 0, threading.Event()

    def __enter__(self):
        before = anonymous(self.server)

        def watch():
            while not self.ended.wait(0.005):
                self.bytes = max(self.bytes, anonymous(self.server) - before)

        self.thread = threading.Thread(target=watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def checkpoint(folder):
    return [path for path in folder.iterdir() if path.suffix == ".safetensors"]


def forget(folder):
    """Out of the page cache."""
    for path in checkpoint(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(folder):
    for path in checkpoint(folder):
        with path.open("rb", buffering=0) as file:
            while file.read(4 * MIB):
                pass


def in_page_cache(options, folder):
    *_, width = peers.SHAPES[options.model]
    rows = peers.repeated_blocks(options.prompts, options.tokens)
    with contextlib.closing(peers.Induct(options.programs, folder, rows, options)) as ours:
        read(folder / options.model)
        ours.run("profile", "--memory_saver")  # a first time: what the process makes for itself
        with Peak(ours.server) as peak:
            ours.run("profile", "--memory_saver")
        ours.run()  # loads the model
        ratios = []
        for _ in range(options.rounds):
            resident = ours.run()[0]
            ratios.append(ours.run("profile", "--memory_saver")[0] / resident)
    layer = 4 * 12 * width * width
    bound = 4 * rows.size * width + 2 * layer + 4 * MICRO_BATCH * (6 * width + 4 * width)
    print(f"{options.model}'s shape, float32, {options.prompts} prompts of {options.tokens} tokens, in the page cache: "
          f"{statistics.median(ratios):.3f} of the resident time (median of {options.rounds}); anonymous memory {peak.bytes / MIB:.0f} MiB, "
          f"of residual streams, two layers and a micro-batch {bound / MIB:.0f}", flush=True)


def beyond_memory(options, folder):
    options.model = "large"
    rows = peers.repeated_blocks(LARGE_PROMPTS, LARGE_TOKENS)
    size = sum(path.stat().st_size for path in checkpoint(folder / "large"))
    limit = size // 3
    limited = lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with contextlib.closing(peers.Induct(options.programs, folder, rows, options)) as whole:
        whole.run()
        computing = [whole.run()[0] for _ in range(options.rounds)]
    reading, streaming = [], []
    with contextlib.closing(peers.Induct(options.programs, folder, rows, options, preexec_fn=limited)) as ours:
        for _ in range(options.rounds):
            forget(folder / "large")
            reading.append(peers.seconds(lambda: read(folder / "large")))
            forget(folder / "large")
            with Peak(ours.server) as peak:
                streaming.append(ours.run("profile", "--memory_saver")[0])
    compute, disk, streamed = map(statistics.median, (computing, reading, streaming))
    print(f"a model of {size / MIB:.0f} MiB, its server limited to {limit / MIB:.0f}, from the disk: {streamed:.1f} s (its anonymous memory grew by "
          f"{peak.bytes / MIB:.0f} MiB); the resident pass {compute:.1f} s, reading alone {disk:.1f} s: {streamed / max(compute, disk):.3f} of the longer one")


def main():
    options = peers.parse(["--model", "pythia-410m", *sys.argv[1:]], __doc__)
    options.programs = options.programs.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        for shape in (options.model, "large"):
            peers.save_model(shape, folder / shape)
        in_page_cache(options, folder)
        beyond_memory(options, folder)


if __name__ == "__main__":
    main()
