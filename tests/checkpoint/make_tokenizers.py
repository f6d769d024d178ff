"""Writes the small tokenizers under data/ and what the `tokenizers` package makes of awkward strings with them.

    python tests/checkpoint/make_tokenizers.py      (needs the package `tokenizers`, 0.23 was used)

<name>.json is a tokenizer.json, <name>_cases.jsonl holds lines {"text", "ids", "decoded"}
(null where the package itself decodes wrongly).
"""

import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

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
    # Digits of other scripts and kinds (Nd, Nl, No), of Unicode 16, and of Unicode 17 (U+11DE0), which is none for a pattern.
    "1234567 12345 \u0661\u0662\u0663\u0664 x\u2167\u2168y \u00b2\u00b3\u00bd \u4e00\u4e8c \U0001d7d8\U0001d7d9", "\U00010d40\U00010d41a \U000116d0 1\U0001e4f0", "a\U00011de0\U00011de1b",
    # Letters that Unicode 15 and 16 added, marks on them, symbols.
    "\U00010d4a\U00010d70 \U0001e4d0\U0001e4d1 \U0002ebf0x \U00031350", "\U00011f04\U00011f34 \U0001fae8 \U0001fa89\u2ffc", "\ua7cb\u1c89\u1c8a",
    # Contractions: case, curly quotes, the long s and the Kelvin sign, which fold to s and k.
    "IT'S WE'VE THEY'LL I'D DON'T I'M YOU'RE", "it\u2019s we\u2019ve don\u2019t", "it'\u017f 'K\u212a x'ss y'\u00df", "'Ll 'lL 'vE'Re'M",
    "a\r\n\r\nb\r\n \r\n  c\r\r\n", "end   ", "end\n", "end \n ", "\t\tif x:\r\n\t\t  y", " \u00a0 \u2003x\u2009\u202f", "a\u0085\u0085b\u2028\u2029c\u180e\u180e d", "x\x00\x00 \x00y",
    "co-op -- a---b 1-2-3 -1,000 !!?! ok?!, yes...", "foo(bar)[0]->x::y += 'z';", "#hash @at $5.00 50% \u20ac7 \u00a33", "snake_case CamelCase XMLHttp ABCdef aBC",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u3053\u3093\u306b\u3061\u306f\u30ab\u30bf \ud55c\uad6d\uc5b4", "Ti\u1ebfng Vi\u1ec7t", "\u01c5 \u02b0x \u00aa",
    "\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd 1\ufe0f\u20e3", "\ue000\U000f0000\u0378", "qqq qqqq wordqqq", "<|begin|><|endoftext|> <|begin|>\n<|begin|>x", "[W] [L][R][B][M]\t[W]",
    "lorem" * 50, "Aa1! " * 20, " " * 60 + "x", "\n" * 40 + "y", "1" * 50, "\u4f60\u597d" * 20,
]

LLAMA3 = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
QWEN2 = LLAMA3.replace("{1,3}", "")
CASED = (  # words split where the case changes
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"""
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"""
    r"""\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)
SEVERAL = [  # patterns that leave gaps, one after another
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
]
CONSTRUCTS = r"""[a-z]'(?i:[sdmt]|ll|v[c-e])|(?<=\d)[a-f]++|(?<!x)[^\S\r\n]{2,}|(?>ab|a)c|\u00e9|\x{4e16}|\P{L}{3}|\D{2}|[\d\-x-z]+|.\t|\S{,2}[.]"""


def train(normalizer, pre_tokenizer, vocab_size, added):
    """A sequence is trained on GPT-2's words, so that merges cross the places where it splits."""
    is_sequence = isinstance(pre_tokenizer, pre_tokenizers.Sequence)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if is_sequence else pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.pre_tokenizer = pre_tokenizer
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


def sequence_of(*parts, add_prefix_space=False, use_regex=False):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)
    return pre_tokenizers.Sequence([*parts, byte_level])


def isolated(*regexes):
    return [pre_tokenizers.Split(Regex(regex), "isolated") for regex in regexes]


def llama3():
    """With words that no merge makes but that are tokens, and a template that begins with a special token."""
    document = json.loads(train(None, sequence_of(*isolated(LLAMA3)), 600, []).to_str())
    words = ["\u0120qqq", "qqqq", "IT"]
    vocabulary = document["model"]["vocab"]
    vocabulary.update({word: id for id, word in enumerate(words, start=len(vocabulary))})
    document["model"]["ignore_merges"] = True
    document["decoder"] = {"type": "Sequence", "decoders": [document["decoder"]]}
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.add_tokens([AddedToken(text, special=True, normalized=False) for text in ("<|begin|>", "<|end|>")])
    begin = tokenizer.token_to_id("<|begin|>")
    template = processors.TemplateProcessing("<|begin|> $A", "<|begin|> $A <|begin|> $B", [("<|begin|>", begin)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def behaviours():
    split = pre_tokenizers.Split
    return sequence_of(
        split("-", "removed"),
        split(Regex(r"\p{N}"), "merged_with_previous"),
        split(Regex("[,(]"), "merged_with_next"),
        split(Regex("[!?.]"), "contiguous"),
        split(Regex(r"\p{L}+"), "merged_with_next", invert=True),
        split("a", "merged_with_previous", invert=True),
        add_prefix_space=True,
    )


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
    write("llama3", llama3(), keep)
    write("qwen2", train(normalizers.NFC(), sequence_of(*isolated(QWEN2)), 600, stripping[:2]), keep)
    digits = pre_tokenizers.Digits
    write("smollm2", train(None, sequence_of(digits(individual_digits=True), use_regex=True), 500, []), keep)
    runs = sequence_of(digits(individual_digits=False), add_prefix_space=True, use_regex=True)
    write("digit_runs", train(None, runs, 500, stripping[2:6]), keep)
    write("cased", train(None, sequence_of(*isolated(CASED)), 500, []), keep)
    write("several", train(None, sequence_of(*isolated(*SEVERAL)), 500, []), keep)
    write("behaviours", train(None, behaviours(), 500, []), keep)
    write("constructs", train(None, sequence_of(*isolated(CONSTRUCTS)), 500, []), keep)
    write("whole_text", train(None, byte_level(add_prefix_space=False, use_regex=False), 400, []), keep)


if __name__ == "__main__":
    main()
