"""Writes the small tokenizers under data/ and what the `tokenizers` package makes of awkward strings with them.

    python tests/checkpoint/make_tokenizers.py      (needs the package `tokenizers`, 0.23 was used)

<name>.json is a tokenizer.json, <name>_cases.jsonl holds lines {"text", "ids", "decoded"}
(null where the package itself decodes wrongly).
"""

import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

DATA = pathlib.Path(__file__).parent / "data"

CORPUS = [
    "The cat sat on the mat, and the dog sat on the log. It's what we've seen; they'll say I'd done it.",
    "In 2024 there were 365 days, 12 months and 1000000 reasons: caf\u00e9, na\u00efve, r\u00e9sum\u00e9, \u00c5ngstr\u00f6m.",
    "def main():\n    return [x for x in range(10)]\n\n\tprint('hello world')\n        deeper = True\n",
    "\u0434\u043e\u0431\u0440\u044b\u0439 \u0434\u0435\u043d\u044c \u4f60\u597d\u4e16\u754c \u4e16\u754c\u4f60\u597d \u05e9\u05dc\u05d5\u05dd \u0639\u0627\u0644\u0645",
    " A B C D a b c d A B C D a b c d Anna Ben Carl Anna Ben Carl the the and and of of",
] * 3

STRINGS = [
    "", " ", "  ", "   ", " " * 7, " " * 24, " " * 25, " " * 100, "a" + " " * 30 + "b", "\t", "\n", "\r\n", "\n\n  \n", " \t \n x",
    "hello", " hello", "hello ", " hello  world ", "Hello World", "it's we've they'll I'd 'S 'T don't 'tis ''s",
    "1", "12", "365 days", "3.14159", "1,000,000", "x1y2z3", "a1 2b", "\u00b2\u00bd\u2167", "\u0661\u0662\u0663",
    "caf\u00e9", "cafe\u0301", "e\u0301e\u0301", "A\u030angstro\u0308m", "\u212b \u2126", "q\u0307\u0323", "q\u0323\u0307", "\u1e9b\u0323",
    "\uac01", "\u1100\u1161\u11a8", "\u0958", "\u0301alone", "a\u0301\u0301\u0301", "\ufb01 ligature",
    "\u4f60\u597d\u4e16\u754c", "\u4f60\u597d, world\uff01", "\u05e9\u05dc\u05d5\u05dd \u0639\u0627\u0644\u0645", "\u0434\u043e\u0431\u0440\u044b\u0439 \u0434\u0435\u043d\u044c",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "a\u200db", "\U0001f3f3\ufe0f\u200d\U0001f308 x", "\U0001d518\U0001d52b", "\U0010ffff",
    "\u00a0nbsp", "a\u00a0b", "\u2003em", "\u3000wide", "\u180emongolian", "\u200bzero", "\u0085nel", "\u2028line", "\ufeffbom",
    "\x00", "a\x00b", "\x01\x02\x1f\x7f", "\x1b[0m", "\x0b\x0c", "!!!", "...", "<>", "a-b_c", "(x)", "$%&", "http://x.org/?q=1&r=2#s",
    "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", " <|endoftext|> ", "<|endoftext", "<|END|>",
    "x   y    z", "    return x\n        deeper", "if:\n\treturn\n\n\n", "the the the", " A B A B", " Anna Ben Anna Ben",
    "[L]", "a [L] b", "a   [L]   b", "a [R]   b", "a [R] [R] b", "   [B]   [B]   ", "a[W]b", "a [W] b", "[W][W]", "\u00e9[W]", "_[W]", "[W].", "\u200d[W]",
    "\u24b6[W]", "[W]\u0301", "\u00bd[W]", "word wordy aword word.", "[R]\n\n[L]", "\u3000[L]\u2003x", "[M]", "[M][M]x", "[LM]", "[L][LM][", "n\u00e9e", "ne\u0301e",
    "ne\u0301[R] <|endoftext|>\u0301", "<|endoftext|>\u0301x", "e<|endoftext|>\u0301", "a" * 300, "ab" * 150, "the" * 100, "\u00e9" * 50, "'" * 20, "0" * 40,
]


def train(normalizer, pre_tokenizer, vocab_size, added):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(added)
    return tokenizer


def write(name, tokenizer, edit):
    document = json.loads(tokenizer.to_str())
    edit(document)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    (DATA / f"{name}.json").write_text(text, encoding="utf-8")
    reread = Tokenizer.from_str(text)
    foreign = {token["id"] for token in document["added_tokens"] if not token["content"].isascii()}
    with open(DATA / f"{name}_cases.jsonl", "w", encoding="utf-8") as out:
        for string in STRINGS:
            ids = reread.encode(string, add_special_tokens=False).ids
            decoded = reread.decode(ids, skip_special_tokens=False)
            # The package reads added tokens as byte-level text; where one is not ASCII that garbles it.
            if any(token in foreign for token in ids):
                decoded = None
            out.write(json.dumps({"text": string, "ids": ids, "decoded": decoded}) + "\n")


def neox_layout(document):
    """GPT-NeoX-20B's file: merges as strings, no use_regex key, some model options absent."""
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    for key in ("byte_fallback", "ignore_merges"):
        document["model"].pop(key)
    document["pre_tokenizer"].pop("use_regex")


def keep(document):
    del document


def main():
    DATA.mkdir(exist_ok=True)
    byte_level = pre_tokenizers.ByteLevel
    spaces = [AddedToken(" " * n, normalized=True, special=False) for n in range(24, 1, -1)]
    stripping = [
        AddedToken("[L]", lstrip=True, normalized=False),
        AddedToken("[R]", rstrip=True, normalized=False),
        AddedToken("[B]", lstrip=True, rstrip=True, normalized=True),
        AddedToken("[W]", single_word=True, normalized=False),
        AddedToken("word", single_word=True, normalized=True),
        AddedToken("[M]", normalized=False),
        AddedToken("[M][M]", normalized=False),
        AddedToken("[LM]", normalized=True),
        AddedToken("ne\u0301e", normalized=True),
    ]
    write("neox", train(normalizers.NFC(), byte_level(add_prefix_space=False), 700, spaces), neox_layout)
    write("gpt2", train(None, byte_level(add_prefix_space=False), 700, []), keep)
    write("prefix_space", train(None, byte_level(add_prefix_space=True), 500, []), keep)
    sequence = normalizers.Sequence([normalizers.NFC(), normalizers.NFC()])
    write("added_tokens", train(sequence, byte_level(add_prefix_space=True), 400, stripping), keep)
    write("whole_text", train(None, byte_level(add_prefix_space=False, use_regex=False), 400, []), keep)


if __name__ == "__main__":
    main()
