"""Random configurations of every family through the engine and through Hugging Face transformers: all that the golden test
compares must be equal.

    peer_test.py ENGINE_TEST [unittest's arguments]

Skipped where torch and transformers are not installed. INDUCT_PEER_MODELS is the number of models (default 12), in turn of each
family; INDUCT_PEER_SEED (default 0) begins another sequence. Prints the largest errors.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

try:
    import make_golden
    import transformers
except ImportError:
    make_golden = None

PROGRAM = None
COUNT = int(os.environ.get("INDUCT_PEER_MODELS", "12"))
SEED = int(os.environ.get("INDUCT_PEER_SEED", "0"))


def activation(rng):
    return rng.choice(["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python", "gelu_accurate", "silu", "swish"])


def rope(rng, **fields):
    """The embedding as it is, or scaled in such a way that the prompts notice."""
    fields |= {"rope_type": "default", "rope_theta": rng.choice([50.0, 1000.0, 10000.0, 1e6])}
    if rng.random() < 0.5:
        low = rng.choice([0.5, 1.0, 2.0])
        fields |= {"rope_type": "llama3", "factor": rng.choice([0.5, 2.0, 8.0, 32.0]), "low_freq_factor": low,
                   "high_freq_factor": low * rng.choice([1.5, 4.0]), "original_max_position_embeddings": rng.choice([8, 16, 31])}
    return fields


def shared_choices(rng):
    return {"vocab_size": rng.randint(5, 90), "tie_word_embeddings": rng.random() < 0.5}


def gpt_neox(rng):
    heads, rotated = rng.randint(2, 5), rng.choice([(4, 0.5), (8, 0.25), (8, 0.3), (8, 0.5), (8, 1.0), (12, 0.0), (12, 1.0)])
    return transformers.GPTNeoXConfig(
        **shared_choices(rng), hidden_size=heads * rotated[0], num_attention_heads=heads, num_hidden_layers=rng.randint(2, 4),
        intermediate_size=rng.randint(1, 90), max_position_embeddings=rng.randint(32, 64), hidden_act=activation(rng),
        layer_norm_eps=rng.choice([1e-5, 1e-2]), use_parallel_residual=rng.random() < 0.5, attention_bias=rng.random() < 0.7,
        rope_parameters=rope(rng, partial_rotary_factor=rotated[1]))


def gpt2(rng):
    heads = rng.randint(2, 5)
    return transformers.GPT2Config(
        **shared_choices(rng), n_embd=heads * rng.choice([1, 3, 8, 10]), n_head=heads, n_layer=rng.randint(2, 4),
        n_inner=rng.choice([None, 1, 33, 80]), n_positions=rng.randint(31, 64), activation_function=activation(rng),
        layer_norm_epsilon=rng.choice([1e-5, 1e-2]), reorder_and_upcast_attn=rng.random() < 0.5)


def llama_plan(rng, config_class, **choices):
    kv_heads = rng.randint(1, 3)
    heads = max(2, kv_heads * rng.randint(1, 4))
    heads -= heads % kv_heads
    head_dim = rng.choice([2, 6, 8, 16])
    any_head_dim = config_class is not transformers.Qwen2Config and rng.random() < 0.6
    return config_class(
        **shared_choices(rng), hidden_size=heads * (rng.choice([4, 6, 9]) if any_head_dim else head_dim),
        **({"head_dim": head_dim} if any_head_dim or config_class is transformers.Qwen3Config else {}),
        num_attention_heads=heads, num_key_value_heads=kv_heads, num_hidden_layers=rng.randint(2, 4),
        intermediate_size=rng.randint(1, 90), max_position_embeddings=rng.randint(32, 64), hidden_act=activation(rng),
        rms_norm_eps=rng.choice([1e-6, 1e-2]), rope_parameters=rope(rng), **choices)


def llama(rng):
    return llama_plan(rng, transformers.LlamaConfig, attention_bias=rng.random() < 0.5, mlp_bias=rng.random() < 0.5)


def mistral(rng):
    return llama_plan(rng, transformers.MistralConfig, sliding_window=rng.choice([None, 31, 40, 4096]))


def windows(rng):
    """No window shorter than the longest prompt."""
    return {"use_sliding_window": rng.random() < 0.5, "sliding_window": rng.choice([31, 50]), "max_window_layers": rng.randint(0, 4)}


def qwen2(rng):
    return llama_plan(rng, transformers.Qwen2Config, **windows(rng))


def qwen3(rng):
    return llama_plan(rng, transformers.Qwen3Config, attention_bias=rng.random() < 0.5, **windows(rng))


FAMILIES = [gpt_neox, gpt2, llama, mistral, qwen2, qwen3]


def make_models(folder):
    for number in range(COUNT):
        rng = random.Random(SEED * 100_000 + number)
        family = FAMILIES[number % len(FAMILIES)]
        model = make_golden.make_model(rng.randrange(1 << 30), family(rng))
        make_golden.record(folder / f"{family.__name__}_{number}", model, number, rng.choice(["older", "recent"]))


class Peer(unittest.TestCase):
    def test_the_engine_computes_what_transformers_computes(self):
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        with tempfile.TemporaryDirectory() as scratch:
            models, report = pathlib.Path(scratch) / "models", pathlib.Path(scratch) / "report.json"
            make_models(models)
            command = [PROGRAM, "--gtest_filter=Models/GoldenTest.*-*SixteenBit*", f"--gtest_output=json:{report}", "--gtest_brief=1"]
            result = subprocess.run(command, env=os.environ | {"INDUCT_GOLDEN_MODELS": str(models)}, capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stdout[-4000:] + result.stderr[-2000:])
            errors = {}
            for test in (test for suite in json.loads(report.read_text())["testsuites"] for test in suite["testsuite"]):
                comparison, model = test["name"].split("/")
                if model in os.listdir(models):
                    errors.setdefault(comparison, []).append((float(test["error"]), model))
        for comparison, of_models in errors.items():
            self.assertEqual(len(of_models), COUNT)
            print(f"{comparison}: largest error {max(of_models)[0]:.1e}, in {max(of_models)[1]} of {COUNT} models")


if __name__ == "__main__":
    if make_golden is None:
        print("skipped: this Python has no packages torch, transformers and safetensors (choose another with -DINDUCT_PEER_PYTHON=)")
        sys.exit(77)
    PROGRAM = sys.argv.pop(1)
    unittest.main()
