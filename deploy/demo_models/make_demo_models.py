#!/usr/bin/env python3
"""Make the demo models of induct: a small tokenizer and two small GPT-NeoX models with induction heads.

    make_demo_models.py --out DIR [--only demo-small|demo-large] [--steps N] [--threads N] [--finish-only]

Each model folder has the Hugging Face layout (config.json, model.safetensors in float16, tokenizer.json,
tokenizer_config.json). The models see nothing but synthetic rows in which blocks of random tokens repeat, so they are
no language models. At the end the saved weights are read back as float32 and scored; the table is printed.

Needs: torch transformers tokenizers safetensors numpy.
"""
import argparse
import dataclasses
import json
import pathlib
import string
import time

import numpy as np
import tokenizers
import torch
import transformers

SEED = 20240607
BOS, BOS_TEXT = 0, "<|endoftext|>"
VOCAB_SIZE = 512
MAX_POSITIONS = 512
LETTERS = list(string.ascii_uppercase + string.ascii_lowercase)
NAMES = """Adam Alice Amanda Amy Andrew Anna Ben Betty Bob Brian Carol Claire Clara Daniel David Donna Emily Emma Eric
    Eve Frank Grace Henry Jack James Jane John Joseph Joshua Julia Karen Kate Kevin Larry Leo Linda Lisa Lucy Mark Mary
    Max Paul Rose Ruth Ryan Sam Sarah Tom""".split()
# Ordinary words; with the letters and names they fill the vocabulary to VOCAB_SIZE entries exactly.
WORDS = """the then there this that to and are as at be but by do for from had have he her his how if in is it me
    my no not of on or so she up us was we""".split()

# What the two models differ in. Previous-token heads need rotated dimensions of several frequencies: with 16 dimensions
# a head, a rotary_pct of 0.25 would leave only two, so it is larger here.
MODELS = {
    "demo-small": dict(num_hidden_layers=4, hidden_size=128, num_attention_heads=8, rotary_pct=0.5),
    "demo-large": dict(num_hidden_layers=8, hidden_size=128, num_attention_heads=8, rotary_pct=1.0),
}

TOKENS_PER_STEP = 4096
MIN_LAG, MAX_LAG = 3, 100
WARM_UP_STEPS, DECAY_SHARE = 100, 0.5
UNPREDICTABLE_WEIGHT = 0.1


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the training, with an optimizer and a random stream of its own."""
    seed: int
    steps: int
    peak_rate: float
    row_lengths: tuple


FORM = Stage(seed=SEED, steps=3000, peak_rate=2e-3, row_lengths=(96, 128, 192, 256))
# In long rows the token right after BOS is one among hundreds, and its repeat stays hard to copy; prompts of a few words
# consist of such places. So the training ends with many short rows, at some cost at long lags.
FINISH = Stage(seed=SEED + 1, steps=300, peak_rate=1e-3, row_lengths=(16, 32, 64, 256))


# ---------------------------------------------------------------- tokenizer

def byte_level_bpe():
    """(vocabulary, merges): BOS, the 256 bytes, then every prefix (of two or more characters) of the words.

    Each merge adds one character to a prefix, so that a word is always built from its left end and the longest known
    prefix wins, whatever else is in the vocabulary.
    """
    vocab = {BOS_TEXT: BOS}
    for char in sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()):
        vocab[char] = len(vocab)
    merges = []
    for word in LETTERS + NAMES + WORDS:
        spelled = "\u0120" + word  # how ByteLevel writes the leading space
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in vocab:
                vocab[spelled[:end]] = len(vocab)
                merges.append((spelled[:end - 1], spelled[end - 1]))
    return vocab, merges


def build_tokenizer():
    """The tokenizer in the layout of GPT-NeoX, checked."""
    vocab, merges = byte_level_bpe()
    if len(vocab) != VOCAB_SIZE:
        raise SystemExit(f"the word lists give {len(vocab)} vocabulary entries instead of {VOCAB_SIZE}")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=merges))
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.ByteLevel(trim_offsets=True)
    tokenizer.add_special_tokens([tokenizers.AddedToken(BOS_TEXT, special=True, normalized=False)])
    check_tokenizer(tokenizer)
    return tokenizer


def check_tokenizer(tokenizer):
    """Every letter, name and word with its leading space must be one token, alone and in a sequence."""
    assert tokenizer.get_vocab_size() == VOCAB_SIZE and tokenizer.token_to_id(BOS_TEXT) == BOS
    words = LETTERS + NAMES + WORDS
    alone = word_ids(tokenizer, words)
    shuffled = np.random.default_rng(SEED).permutation(words)
    for sequence in (words, words[::-1], list(shuffled), "A b Anna A b Anna".split()):
        text = "".join(" " + word for word in sequence)
        encoding = tokenizer.encode(text)
        assert encoding.ids == [alone[words.index(word)] for word in sequence], text
        assert tokenizer.decode(encoding.ids) == text


def word_ids(tokenizer, words):
    """The one id of each word with a leading space."""
    encodings = [tokenizer.encode(" " + word).ids for word in words]
    assert all(len(ids) == 1 for ids in encodings), "a word is more than one token"
    return np.array([ids[0] for ids in encodings])


def save_tokenizer(tokenizer, folder):
    """Write tokenizer.json and tokenizer_config.json."""
    tokenizer.save(str(folder / "tokenizer.json"))
    # The general class: the one of GPT-NeoX would add a padding token beyond the vocabulary.
    settings = dict(tokenizer_class="PreTrainedTokenizerFast", add_prefix_space=False, bos_token=BOS_TEXT, eos_token=BOS_TEXT,
                    unk_token=BOS_TEXT, clean_up_tokenization_spaces=False, model_max_length=MAX_POSITIONS)
    write_json(folder / "tokenizer_config.json", settings)


def write_json(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n")


# ---------------------------------------------------------------- training rows

def alphabets(tokenizer):
    """The ids that the words of a block are drawn from, by task."""
    return {"RANDOM": np.arange(1, VOCAB_SIZE), "ABAB": word_ids(tokenizer, LETTERS), "NAMES": word_ids(tokenizer, NAMES)}


def training_row(rng, ids_of, length):
    """(row, predictable) of `length` tokens: BOS, often some filler, then blocks that repeat.

    Lag, number of repeats and the start of the first block are drawn anew each time: with a few fixed lags a model learns
    to look a fixed distance back, without any induction head.
    """
    row, predictable = [BOS], [False]
    if rng.random() < 0.5:
        filler = rng.choice(ids_of["RANDOM"], rng.integers(1, length // 4))
        row.extend(filler)
        predictable.extend([False] * len(filler))
    task = rng.choice(["RANDOM", "ABAB", "NAMES"], p=[0.6, 0.2, 0.2])
    while len(row) < length:
        lag = draw_lag(rng, min(MAX_LAG, length // 2, len(ids_of[task])))
        repeats = rng.integers(2, 5)
        row.extend(np.tile(rng.choice(ids_of[task], lag, replace=False), repeats))
        predictable.extend(np.arange(lag * repeats) > lag)
    return row[:length], predictable[:length]


def draw_lag(rng, largest):
    """Half of the lags short, since over the whole range few would be, and short blocks fill few tokens."""
    return rng.integers(MIN_LAG, (min(16, largest) if rng.random() < 0.5 else largest) + 1)


def training_batch(rng, ids_of, row_lengths):
    """(rows, predictable) as tensors [rows, length], always about TOKENS_PER_STEP tokens."""
    length = int(rng.choice(row_lengths))
    rows = [training_row(rng, ids_of, length) for _ in range(TOKENS_PER_STEP // length)]
    return tuple(torch.tensor(np.array(part)) for part in zip(*rows))


# ---------------------------------------------------------------- training

def new_model(name):
    """An untrained model."""
    torch.manual_seed(SEED)
    shape = dict(MODELS[name])
    rope = dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=shape.pop("rotary_pct"))
    config = transformers.GPTNeoXConfig(
        **shape, vocab_size=VOCAB_SIZE, intermediate_size=2 * shape["hidden_size"], max_position_embeddings=MAX_POSITIONS,
        rope_parameters=rope, use_parallel_residual=True, attention_dropout=0.0, hidden_dropout=0.0, bos_token_id=BOS,
        eos_token_id=BOS, tie_word_embeddings=False)
    return transformers.GPTNeoXForCausalLM(config)


def learning_rate(step, steps):
    """Share of the peak rate: linear warm-up, a plateau, and for the last part of the training a line to zero."""
    return min((step + 1) / WARM_UP_STEPS, 1.0, (steps - step) / (DECAY_SHARE * steps))


def loss_of(model, rows, predictable):
    """(loss to minimise, mean loss at the predictable positions).

    The other positions count little: they are noise, but without them the model would learn nothing sensible there.
    """
    logits = model(rows, use_cache=False).logits[:, :-1]
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")
    copied = each[predictable[:, 1:]].mean()
    return copied + UNPREDICTABLE_WEIGHT * each[~predictable[:, 1:]].mean(), copied.item()


def train(model, stage, ids_of):
    """Train the model in place."""
    rng = np.random.default_rng(stage.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=stage.peak_rate, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, stage.steps))
    begin = time.monotonic()
    for step in range(stage.steps):
        loss, copied = loss_of(model, *training_batch(rng, ids_of, stage.row_lengths))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}/{stage.steps}: loss at predictable positions {copied:.3f}, "
                  f"{time.monotonic() - begin:.0f} s", flush=True)


def save_model(model, folder):
    """Write model.safetensors (float16) and config.json."""
    model.half().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    # Newer releases of transformers write rope_parameters only; older ones, and other readers, look for these.
    config["rotary_pct"] = config["rope_parameters"]["partial_rotary_factor"]
    config["rotary_emb_base"] = config["rope_parameters"]["rope_theta"]
    write_json(path, config)
    (folder / "model.safetensors").chmod(0o644)  # it is written readable by its owner only


def load_model(folder):
    """The saved model in float32, with the attention that can show its probabilities."""
    return transformers.GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def form(name, folder, stage, ids_of):
    """Train a new model and save it."""
    print(f"{name}: forming", flush=True)
    model = new_model(name)
    train(model, stage, ids_of)
    save_model(model, folder)


def finish(name, folder, ids_of):
    """Train the saved model on. It starts from the saved float16 weights, so that it can also be run later by itself."""
    print(f"{name}: finishing", flush=True)
    model = load_model(folder)
    train(model, FINISH, ids_of)
    save_model(model, folder)


# ---------------------------------------------------------------- evaluation

def evaluation_rows(rng, ids, lag, count):
    """Rows [count, 1 + 2 * lag]: BOS and a block of different words, twice."""
    blocks = [rng.choice(ids, lag, replace=False) for _ in range(count)]
    return torch.tensor(np.array([[BOS, *block, *block] for block in blocks]))


@torch.no_grad()
def evaluate(model, rows, lag):
    """Head scores [layers, heads] of the three kinds, and copy accuracy over the predictable positions."""
    output = model(rows, output_attentions=True)
    attention = torch.stack(output.attentions).double()  # [layers, rows, heads, queries, keys]
    first, second = np.arange(1, 1 + lag), np.arange(1 + lag, 1 + 2 * lag)

    def mean_attention(queries, keys):
        return attention[:, :, :, queries, keys].mean(dim=(1, 3)).numpy()

    copied = second[1:]  # what follows the first token of the repeat
    correct = output.logits[:, copied - 1].argmax(-1) == rows[:, copied]
    return dict(induction=mean_attention(second, first + 1), duplicate=mean_attention(second, first),
                previous=mean_attention(first[1:], first[:-1]), accuracy=correct.double().mean().item())


EVALUATIONS = [("RANDOM", 10), ("RANDOM", 50), ("RANDOM", 64), ("RANDOM", 100)] + [
    (task, lag) for task in ("ABAB", "NAMES") for lag in (4, 8, 16, 32)]


def best_head(scores):
    """The highest score and its place, as 'score (layer.head)'."""
    layer, head = np.unravel_index(scores.argmax(), scores.shape)
    return f"{scores[layer, head]:.3f} ({layer}.{head})"


def print_scores(title, scores):
    """Print [layers, heads] scores."""
    print(f"\n{title} (a row per layer, a column per head):")
    for layer, row in enumerate(scores):
        print(f"  {layer}: " + " ".join(f"{score:.2f}" for score in row))


def print_evaluation(name, folder, ids_of):
    """Print the scores of the saved weights, read back as float32."""
    model = load_model(folder)
    rng = np.random.default_rng(SEED + 2)
    print(f"\n{name}: {model.num_parameters():,} parameters\n")
    print("| task | lag | best induction | best duplicate | best previous | copy accuracy |\n|---|---|---|---|---|---|")
    results = {}
    for task, lag in EVALUATIONS:
        # The fewer predictable positions a row has, the more rows.
        rows = evaluation_rows(rng, ids_of[task], lag, count=16 + 1024 // lag)
        result = results[task, lag] = evaluate(model, rows, lag)
        best = " | ".join(best_head(result[kind]) for kind in ("induction", "duplicate", "previous"))
        print(f"| {task} | {lag} | {best} | {result['accuracy']:.3f} |")
    for kind in ("induction", "previous"):
        print_scores(f"{kind} on RANDOM, lag 50", results["RANDOM", 50][kind])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the model folders")
    parser.add_argument("--only", choices=MODELS, help="make only this model")
    parser.add_argument("--steps", type=int, default=FORM.steps, help="steps of the first stage")
    parser.add_argument("--finish-only", action="store_true", help="train the models in --out by the second stage")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers.utils.logging.disable_progress_bar()
    names = [args.only] if args.only else list(MODELS)
    tokenizer = build_tokenizer()
    ids_of = alphabets(tokenizer)
    for name in names:
        folder = args.out / name
        folder.mkdir(parents=True, exist_ok=True)
        save_tokenizer(tokenizer, folder)
        if not args.finish_only:
            form(name, folder, dataclasses.replace(FORM, steps=args.steps), ids_of)
        finish(name, folder, ids_of)
    for name in names:
        print_evaluation(name, args.out / name, ids_of)


if __name__ == "__main__":
    main()
