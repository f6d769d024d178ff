"""A profile by induct and by the tools that people use for it, on one model, the same tokens and as many threads, in turn.

    peers.py BIN_FOLDER [--model pythia-160m] [--dtype float32] [--prompts 16] [--tokens 256] [--rounds 3] [--threads 2]

BIN_FOLDER holds induct-server and induct-client. The model has the shape of its name and random weights. Needs torch, transformers and
transformer_lens (tests/benchmark/peers.sh makes an environment for them). The peers run without logits and with vectorised scores, and
with the batch that suits them best; "one pass a layer" is how the script that induct replaces saved memory: a full pass with logits for
each layer, of which one is timed. Before any time counts, the scores of all must be equal.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import transformers

transformers.utils.logging.disable_progress_bar()

SHAPES = {"pythia-70m": (6, 8, 512), "pythia-160m": (12, 12, 768), "pythia-410m": (24, 16, 1024)}
VOCABULARY = 50304
BATCHES = (4, 16)
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}


def save_model(shape, folder):
    n_layers, n_heads, width = SHAPES[shape]
    torch.manual_seed(1)
    config = transformers.GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=n_layers, num_attention_heads=n_heads, intermediate_size=4 * width,
        max_position_embeddings=2048, rotary_pct=0.25, use_parallel_residual=True, initializer_range=0.08)
    transformers.GPTNeoXForCausalLM(config).save_pretrained(folder)


def load_model(folder, dtype):
    """One of its own for each peer: TransformerLens changes the one that it is given."""
    return transformers.GPTNeoXForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=getattr(torch, dtype)).eval()


def repeated_blocks(n_prompts, length):
    """[n, length]: different tokens, twice, so that each token of the second half has one earlier occurrence."""
    generator = np.random.default_rng(2)
    blocks = [generator.permutation(VOCABULARY)[: length // 2] for _ in range(n_prompts)]
    return np.stack([np.tile(block, 2) for block in blocks]).astype(np.int64)


def induction(pattern):
    """[B, H]: the mean attention of the second half's positions to what followed their tokens' first occurrence. pattern: [B, H, T, T]"""
    lag = pattern.shape[-1] // 2
    return pattern.diagonal(offset=1 - lag, dim1=-2, dim2=-1)[..., 1:].float().mean(-1)


class Transformers:
    name = "transformers, eager, output_attentions, no head"

    def __init__(self, folder, dtype):
        self.decoder = load_model(folder, dtype).gpt_neox

    def scores(self, tokens):
        """[B, L, H]"""
        return torch.stack([induction(pattern) for pattern in self.decoder(tokens, output_attentions=True, use_cache=False).attentions], 1)


class EndOfPass(Exception):
    """Ends TransformerLens's pass after the last pattern: it has no other way to leave the logits out."""


class TransformerLens:
    name = "TransformerLens, attention hooks, no logits"

    def __init__(self, folder, dtype):
        from tokenizers import Tokenizer, models
        from transformer_lens.model_bridge import TransformerBridge

        # It asks for a tokenizer, with a folder that it came from.
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer(models.BPE({"a": 0}, [])), eos_token="a", bos_token="a", pad_token="a").save_pretrained(folder.parent / "none")
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder.parent / "none")
        model = load_model(folder, dtype)
        self.bridge = TransformerBridge.boot_transformers(str(folder), hf_model=model, tokenizer=tokenizer, dtype=model.dtype)
        self.n_layers = model.config.num_hidden_layers

    def scores(self, tokens):
        found = []

        def keep(pattern, hook):
            found.append(induction(pattern))
            if len(found) == self.n_layers:
                raise EndOfPass

        with contextlib.suppress(EndOfPass):
            self.bridge.run_with_hooks(
                tokens, return_type=None, fwd_hooks=[(f"blocks.{layer}.attn.hook_pattern", keep) for layer in range(self.n_layers)])
        return torch.stack(found, 1)


class OnePassALayer:
    name = "one pass with logits a layer"

    def __init__(self, folder, dtype):
        self.model = load_model(folder, dtype)
        self.n_layers = self.model.config.num_hidden_layers

    def scores(self, tokens):
        """Of the last layer alone, from one of as many passes as there are layers."""
        return induction(self.model(tokens, output_attentions=True, use_cache=False).attentions[-1])[:, None]


class Induct:
    name = "induct"

    def __init__(self, programs, folder, tokens, options, **of_server):
        self.programs, self.folder, self.options = programs, folder, options
        self.tokens = folder / "tokens.npy"
        np.save(self.tokens, tokens)
        self.address = f"unix:{folder}/socket"
        self.server = subprocess.Popen(
            [programs / "induct-server", "--listen", self.address], env=os.environ | {"INDUCT_MODEL_DIRS": str(folder), "INDUCT_THREADS": str(options.threads)},
            stderr=subprocess.DEVNULL, **of_server)
        while not (folder / "socket").exists():
            assert self.server.poll() is None, f"induct-server ended with {self.server.returncode}"
            time.sleep(0.01)

    def run(self, command="profile", *flags):
        """The seconds on the device's thread: passes, statistics, arrays. The run's folder."""
        output = tempfile.mkdtemp(dir=self.folder)
        subprocess.run(
            [self.programs / "induct-client", command, "--server", self.address, "--model", self.options.model, "--tokens", self.tokens, "--task_types", "TOKENS",
             "--dtype", self.options.dtype, *flags, "--no_figures", "--no_report", "--quiet", "--output_dir", output],
            check=True, stdout=subprocess.DEVNULL)
        run, = pathlib.Path(output).glob("runs/*")
        return json.loads((run / "metadata.json").read_text())["seconds"]["running"], run

    def scores(self):
        """[N, L, H]"""
        _, run = self.run()
        return np.load(run / f"prompt_scores_{self.options.model}.npy")

    def close(self):
        self.server.terminate()
        self.server.wait()


def in_batches(peer, tokens, batch):
    with torch.inference_mode():
        return torch.cat([peer.scores(tokens[i : i + batch]) for i in range(0, len(tokens), batch)])


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def parse(arguments, doc):
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("--model", choices=SHAPES, default="pythia-160m")
    parser.add_argument("--dtype", choices=TOLERANCE, default="float32")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args(arguments)


def main():
    options = parse(sys.argv[1:], __doc__)
    torch.set_num_threads(options.threads)
    rows = repeated_blocks(options.prompts, options.tokens)

    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        save_model(options.model, folder / options.model)
        ours = Induct(options.programs.resolve(), folder, rows, options)
        stack.callback(ours.close)

        tokens = torch.from_numpy(rows)
        peers = [kind(folder / options.model, options.dtype) for kind in (Transformers, TransformerLens, OnePassALayer)]
        expected = ours.scores()
        batches = []
        for peer in peers:
            found = in_batches(peer, tokens, BATCHES[0]).numpy()
            error = np.abs(found - expected[:, -found.shape[1] :]).max()
            print(f"{peer.name}: scores differ from induct's by {error:.1e} at most", flush=True)
            assert error < TOLERANCE[options.dtype], "the scores differ: no time counts"
            batches.append(min(BATCHES, key=lambda batch: seconds(lambda: in_batches(peer, tokens, batch))))

        times = {peer: [] for peer in [ours, *peers]}
        for _ in range(options.rounds):  # in turn, so that a busy moment slows all
            times[ours].append(ours.run()[0])
            for peer, batch in zip(peers, batches):
                passes = getattr(peer, "n_layers", 1) if isinstance(peer, OnePassALayer) else 1
                times[peer].append(passes * seconds(lambda: in_batches(peer, tokens, batch)))

    print(f"\n{options.model}'s shape, {options.dtype}, {options.threads} threads, {options.prompts} prompts of {options.tokens} tokens, median of {options.rounds}")
    ratios = lambda peer: [theirs / mine for theirs, mine in zip(times[peer], times[ours])]
    for peer in [ours, *peers]:
        median = statistics.median(times[peer])
        print(f"  {peer.name:48} {median:8.2f} s {options.prompts / median:8.3f} prompts/s {statistics.median(ratios(peer)):8.2f} of induct's time")


if __name__ == "__main__":
    main()
