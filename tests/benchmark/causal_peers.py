"""A causal ablation by induct and by TransformerLens's hooks, on one model, the same arms, tokens and threads, in turn.

    causal_peers.py BIN_FOLDER [arguments of peers.py]

Three heads are ablated, against 20 random and 20 matched draws. induct's time is that of the whole job, the choice of the heads among it;
TransformerLens's that of a pass with logits for each arm, over the same half of the prompts. Before any time counts, the mean negative
log-likelihoods of all arms must be equal. tests/benchmark/peers.sh makes the environment: its argument --causal runs this.
"""

import contextlib
import functools
import json
import pathlib
import statistics
import sys
import tempfile

import torch

import peers

DRAWS = 20
TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}


class Arm:
    def __init__(self, message):
        self.heads = {}
        for head in message.get("heads", []):
            self.heads.setdefault(head.get("layer", 0), []).append(head.get("head", 0))
        metrics = message["metrics"]
        parts = [(metrics.get(f"{part}_nll", 0), metrics.get(f"n_{count}", 0)) for part, count in (("copy", "predictable"), ("other", "other"))]
        self.nll = sum(nll * n for nll, n in parts) / sum(n for _, n in parts)


def run_induct(ours, model):
    """Seconds, arms, and the prompts that they are measured on."""
    seconds, run = ours.run("causal", "--topk", "3", "--randomk", "3", "--draws", str(DRAWS), "--ablation", "zero")
    causal = json.loads((run / f"causal_{model}.json").read_text())
    messages = [causal["baseline"], causal["top_k"], *causal["random_k"]["draws"], *causal["matched_k"]["draws"]]
    return seconds, [Arm(message) for message in messages], causal["evaluation_prompts"]


def without(heads, z, hook):
    z[:, :, heads] = 0
    return z


def hooked_nll(bridge, arm, tokens):
    """The sum over all tokens but the first of each row."""
    hooks = [(f"blocks.{layer}.attn.hook_z", functools.partial(without, heads)) for layer, heads in arm.heads.items()]
    logits = bridge.run_with_hooks(tokens, return_type="logits", fwd_hooks=hooks)
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="sum").item()


def run_hooks(bridge, arms, tokens, batch):
    """The mean over all tokens, for each arm."""
    n_predicted = tokens.shape[0] * (tokens.shape[1] - 1)
    batches = tokens.split(batch)
    with torch.inference_mode():
        return [sum(hooked_nll(bridge, arm, some) for some in batches) / n_predicted for arm in arms]


def main():
    options = peers.parse(sys.argv[1:], __doc__)
    torch.set_num_threads(options.threads)
    rows = peers.repeated_blocks(options.prompts, options.tokens)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        peers.save_model(options.model, folder / options.model)
        ours = peers.Induct(options.programs.resolve(), folder, rows, options)
        stack.callback(ours.close)
        bridge = peers.TransformerLens(folder / options.model, options.dtype).bridge

        _, arms, prompts = run_induct(ours, options.model)
        tokens = torch.from_numpy(rows[prompts])
        error = max(abs(arm.nll - theirs) for arm, theirs in zip(arms, run_hooks(bridge, arms, tokens, peers.BATCHES[0])))
        print(f"{len(arms)} arms: mean negative log-likelihoods differ by {error:.1e} nats at most", flush=True)
        assert error < TOLERANCE[options.dtype], "they differ: no time counts"
        batch = min(peers.BATCHES, key=lambda batch: peers.seconds(lambda: run_hooks(bridge, arms[:4], tokens, batch)))

        times, their_times = [], []
        for _ in range(options.rounds):  # in turn, so that a busy moment slows both
            times.append(run_induct(ours, options.model)[0])
            their_times.append(peers.seconds(lambda: run_hooks(bridge, arms, tokens, batch)))

    ratio = statistics.median(theirs / mine for mine, theirs in zip(times, their_times))
    print(f"{options.model}'s shape, {options.dtype}, {options.threads} threads, {len(arms)} arms on {len(prompts)} prompts of {options.tokens} tokens, "
          f"median of {options.rounds}: induct {statistics.median(times):.1f} s, TransformerLens {statistics.median(their_times):.1f} s, {ratio:.2f} of induct's time")


if __name__ == "__main__":
    main()
