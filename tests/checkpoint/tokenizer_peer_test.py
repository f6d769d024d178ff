"""Random Unicode strings through our tokenizer and through the `tokenizers` package: the ids and decoded texts must be equal.

    tokenizer_peer_test.py ENCODE_STRINGS [unittest's arguments]

Skipped (exit 77) where the package is not installed. INDUCT_PEER_STRINGS is the number of strings for each tokenizer (default 1500);
INDUCT_TOKENIZERS may name a folder of published ones (<name>/tokenizer.json).
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import unicodedata
import unittest

try:
    import tokenizers
except ImportError:
    tokenizers = None

PROGRAM = None
DATA = pathlib.Path(__file__).parent / "data"
COUNT = int(os.environ.get("INDUCT_PEER_STRINGS", "1500"))

WORDS = (
    "the and Hello WORLD it's WE'VE don't I'LL they\u2019re naive caf\u00e9 cafe\u0301 x2 3.14 1234567 \u0661\u0662\u0663 \u00bd \u2167 \u4f60\u597d\u4e16\u754c "
    "\u05e9\u05dc\u05d5\u05dd \u0434\u043e\u0431\u0440\u044b\u0439 \u0928\u092e\u0938\u094d\u0924\u0947 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea foo_bar(x)[0]; -- a---b !!?! http://x.org/?q=1 "
    "[L] [R] [B] [W] [M][M] word ne\u0301e <|endoftext|> <|begin|> <|end|> qqq 'S 'll s\u017f K\u212a"
).split(" ")
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\u180e", "\x00", "\x0b", "", "", " " * 9, " \n "]
BLOCKS = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x7FF), (0x900, 0xDFF), (0xE00, 0x11FF), (0x1E00, 0x206F),
          (0x2070, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7A3), (0xF900, 0xFFFD), (0x10000, 0x107FF),
          (0x10800, 0x11FFF), (0x12000, 0x1FAFF), (0x20000, 0x323AF), (0xE0000, 0xE01EF), (0x0, 0x1F), (0x0, 0x10FFFF)]  # fmt: skip


def random_string(rng):
    """Words between white space, runs of one character, and characters of one or two blocks."""
    parts = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.random()
        if kind < 0.5:
            parts += [rng.choice(SPACES), rng.choice(WORDS)]
        elif kind < 0.6:
            parts.append(rng.choice(["a", " ", "\n", "\u0301", "1", "\u00e9", "'", "-"]) * rng.randint(1, 40))
        else:
            first, last = rng.choice(BLOCKS)
            parts += [chr(rng.randint(first, last)) for _ in range(rng.randint(1, 8))]
    return "".join(c for c in "".join(parts) if not 0xD800 <= ord(c) < 0xE000)


def is_normalised_alike(string):
    """The package's tables of NFC are older than ours: strings that need newer ones are no test."""
    newer = any(unicodedata.category(c) == "Cn" for c in string)
    return not newer and tokenizers.normalizers.NFC().normalize_str(string) == unicodedata.normalize("NFC", string)


def our_answers(path, strings):
    lines = "".join(json.dumps(string) + "\n" for string in strings)
    run = subprocess.run([PROGRAM, str(path)], input=lines, capture_output=True, text=True, encoding="utf-8", check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


class PeerTest(unittest.TestCase):
    def compare(self, path):
        rng = random.Random(20)
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
        peer = tokenizers.Tokenizer.from_str(text)
        normalises = document["normalizer"] is not None
        # The package reads added tokens as byte-level text, which garbles those that are not ASCII.
        garbled = {token["id"] for token in document["added_tokens"] if not token["content"].isascii()}
        strings = [random_string(rng) for _ in range(COUNT)]
        kept = [string for string in strings if not normalises or is_normalised_alike(string)]
        self.assertGreater(len(kept), COUNT / 3)
        for string, ours in zip(kept, our_answers(path, kept), strict=True):
            ids = peer.encode(string, add_special_tokens=False).ids
            self.assertEqual(ours.get("ids"), ids, f"{path.name}: {string!a}: {ours}")
            if not garbled.intersection(ids):
                self.assertEqual(ours["decoded"], peer.decode(ids, skip_special_tokens=False), f"{path.name}: {ids}")

    def test_small_tokenizers(self):
        paths = sorted(path for path in DATA.glob("*.json"))
        self.assertGreater(len(paths), 10)
        for path in paths:
            with self.subTest(path.stem):
                self.compare(path)

    def test_published_tokenizers(self):
        folder = os.environ.get("INDUCT_TOKENIZERS")
        if not folder:
            self.skipTest("INDUCT_TOKENIZERS names no folder of published tokenizers")
        for path in sorted(pathlib.Path(folder).glob("*/tokenizer.json")):
            with self.subTest(path.parent.name):
                self.compare(path)


if __name__ == "__main__":
    if tokenizers is None:
        print("skipped: this Python has no package `tokenizers` (pip install tokenizers; choose another with -DPython3_EXECUTABLE=)")
        sys.exit(77)
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
