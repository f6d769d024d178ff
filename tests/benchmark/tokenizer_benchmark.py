"""Our tokenizer and the `tokenizers` package on the same English prose, both on one core, in turn.

    tokenizer_benchmark.py TOKENIZER_BENCHMARK TOKENIZER_JSON... [--text FILE]

Without --text the text is made of the licences and documentation that this machine has. Needs the package `tokenizers`.
"""

import argparse
import gzip
import json
import os
import pathlib
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers  # noqa: E402 (after the settings that it reads)

ROUNDS = 5
DOCUMENT_BYTES = 2000
TEXT_BYTES = 4_000_000


def prose():
    """Licences, copyright files, changelogs: the same bytes on the same machine; only lines of several words."""
    paths = sorted(pathlib.Path("/usr/share/common-licenses").glob("*")) + sorted(pathlib.Path("/usr/share/doc").glob("*/*"))
    parts, size = [], 0
    for path in paths:
        if not path.is_file() or path.is_symlink() or path.stat().st_size > 300_000 or size > TEXT_BYTES:
            continue
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = [line for line in raw.decode("utf-8", errors="ignore").splitlines(keepends=True) if line.count(" ") > 4]
        parts.append("".join(lines))
        size += len(parts[-1])
    return "".join(parts)


def documents(text):
    """As tokenizer_benchmark.cc cuts them."""
    data = text.encode("utf-8")
    cut = []
    while data:
        end = data.find(b"\n", min(DOCUMENT_BYTES, len(data)))
        end = len(data) if end < 0 else end
        cut.append(data[:end].decode("utf-8"))
        data = data[end:]
    return cut


def peer_speed(path, parts, n_bytes):
    start = time.perf_counter()
    peer = tokenizers.Tokenizer.from_file(str(path))
    load_seconds = time.perf_counter() - start
    best = 1e9
    for _ in range(ROUNDS):
        start = time.perf_counter()
        encoded = peer.encode_batch_fast(parts, add_special_tokens=False)
        best = min(best, time.perf_counter() - start)
    return {"load_seconds": load_seconds, "megabytes_per_second": n_bytes / 1e6 / best, "ids": sum(len(e.ids) for e in encoded)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program")
    arguments.add_argument("tokenizers", nargs="+", type=pathlib.Path)
    arguments.add_argument("--text", type=pathlib.Path)
    given = arguments.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    text = given.text.read_text(encoding="utf-8") if given.text else prose()
    parts = documents(text)
    print(f"{len(text.encode('utf-8')) / 1e6:.2f} MB in {len(parts)} documents; MB/s, seconds to load")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        for path in given.tokenizers:
            run = subprocess.run([given.program, str(path), file.name, str(ROUNDS)], capture_output=True, text=True, check=True)
            ours = json.loads(run.stdout)
            peer = peer_speed(path, parts, len(text.encode("utf-8")))
            same = "same number of ids" if ours["ids"] == peer["ids"] else f"ids differ: {ours['ids']}, {peer['ids']}"
            print(
                f"{path}: ours {ours['megabytes_per_second']:.1f}, {ours['load_seconds']:.2f} s; "
                f"package {peer['megabytes_per_second']:.1f}, {peer['load_seconds']:.2f} s; {same}",
                flush=True,
            )


if __name__ == "__main__":
    main()
