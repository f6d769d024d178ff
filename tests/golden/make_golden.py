#!/usr/bin/env python3
"""Makes the golden data of the engine's tests: tiny models of every family and what Hugging Face transformers computes with them.

    python tests/golden/make_golden.py [NAME...]

Needs torch, transformers >= 5 and safetensors (made with torch 2.13.0 and transformers 5.24.0). Writes models/<name>/ beside
this file, of all models or of those named:
  config.json, model.safetensors   the model in the Hugging Face layout, float32
  golden.safetensors               for each prompt p of PROMPT_LENGTHS:
    tokens.<p>        [T] int64
    residual.<p>      [L + 1, T, D] after the embedding and after each layer, before the final norm
    attention.<p>     [L, H, T, T] attention probabilities (eager attention)
    logits.<p>        [T, V]
    ablated_logits.<p>  [T, V] with the output of head ABLATED_HEAD of layer ABLATED_LAYER set to 0 before the output projection

Weights are random but large enough, and norms and biases too, that every one of them changes the outputs.
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

PROMPT_LENGTHS = [1, 7, 20, 31]
ABLATED_LAYER, ABLATED_HEAD = 1, 1
FOLDER = pathlib.Path(__file__).parent / "models"


def gpt_neox(rotary_pct, rotary_emb_base, **choices):
    rope = {"rope_type": "default", "rope_theta": float(rotary_emb_base), "partial_rotary_factor": rotary_pct}
    return transformers.GPTNeoXConfig(vocab_size=64, num_hidden_layers=3, intermediate_size=4 * choices["hidden_size"],
                                      max_position_embeddings=48, tie_word_embeddings=False, attention_dropout=0.0,
                                      hidden_dropout=0.0, bos_token_id=0, eos_token_id=0, rope_parameters=rope, **choices)


def gpt2(**choices):
    return transformers.GPT2Config(vocab_size=40, n_layer=2, n_positions=48, bos_token_id=0, eos_token_id=0, **choices)


def llama_plan(config_class, **choices):
    return config_class(vocab_size=40, num_hidden_layers=2, max_position_embeddings=48, bos_token_id=0, eos_token_id=1, **choices)


# Each model is another branch of the decoder. "older": config.json as releases before transformers 5 wrote it. A model's place in
# the list is its seed, such that its weights do not amplify what 16-bit formats round away (transformers' own results in
# bfloat16 stay within 2e-2 of the recorded ones).
MODELS = {
    "parallel": ("older", lambda: gpt_neox(0.25, 10000, hidden_size=32, num_attention_heads=2, use_parallel_residual=True,
                                           hidden_act="gelu")),
    "sequential": ("older", lambda: gpt_neox(1.0, 500, hidden_size=32, num_attention_heads=4, use_parallel_residual=False,
                                             hidden_act="gelu")),
    "half_rotary": ("older", lambda: gpt_neox(0.5, 10000, hidden_size=36, num_attention_heads=3, use_parallel_residual=True,
                                              hidden_act="gelu_new")),
    "llama_biased": ("older", lambda: llama_plan(
        transformers.LlamaConfig, hidden_size=24, num_attention_heads=3, intermediate_size=40, attention_bias=True,
        mlp_bias=True, tie_word_embeddings=True, rms_norm_eps=1e-2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0})),
    "qwen3": ("recent", lambda: llama_plan(
        transformers.Qwen3Config, hidden_size=24, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        intermediate_size=40, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    # The scaling leaves one of the six frequencies as it is, interpolates two and slows three down.
    "llama_scaled": ("recent", lambda: llama_plan(
        transformers.LlamaConfig, hidden_size=24, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
        intermediate_size=40, tie_word_embeddings=False,
        rope_parameters={"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 32})),
    "qwen2": ("older", lambda: llama_plan(
        transformers.Qwen2Config, hidden_size=24, num_attention_heads=4, num_key_value_heads=2, intermediate_size=40,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    "mistral": ("older", lambda: llama_plan(
        transformers.MistralConfig, hidden_size=24, num_attention_heads=4, num_key_value_heads=1, intermediate_size=40,
        sliding_window=31, rope_parameters={"rope_type": "default", "rope_theta": 1000.0})),
    "gpt2": ("older", lambda: gpt2(n_embd=24, n_head=3, n_inner=60)),
}


def randomise(model):
    """Draws every parameter: weights that keep the size of what goes through them, norms around 1, biases around 0."""
    convolutions = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Conv1D)}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.normal_(1.0 if name.endswith("weight") else 0.0, 0.3)
            else:
                inputs = weight.shape[0 if name in convolutions else 1]
                weight.normal_(0.0, 1.0 / inputs**0.5)


def make_model(seed, config):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    randomise(model)
    return model


def layers_of(model):
    body = model.base_model
    return body.h if hasattr(body, "h") else body.layers


def attention_output(layer):
    """The linear layer that takes the heads' outputs side by side."""
    if hasattr(layer, "self_attn"):
        return layer.self_attn.o_proj
    return layer.attn.c_proj if hasattr(layer, "attn") else layer.attention.dense


def run(model, tokens):
    residual = []
    layers = layers_of(model)
    hooks = [layers[0].register_forward_pre_hook(lambda module, args: residual.append(args[0][0].clone()))]
    for layer in layers:
        hooks.append(layer.register_forward_hook(
            lambda module, args, out: residual.append((out[0] if isinstance(out, tuple) else out)[0].clone())))
    with torch.no_grad():
        out = model(tokens[None], output_attentions=True, use_cache=False)
    for hook in hooks:
        hook.remove()
    return torch.stack(residual), torch.stack([pattern[0] for pattern in out.attentions]), out.logits[0]


def run_ablated(model, tokens):
    def ablate(module, args):
        heads = args[0].unflatten(-1, (model.config.num_attention_heads, -1)).clone()
        heads[..., ABLATED_HEAD, :] = 0
        return (heads.flatten(-2),)

    hook = attention_output(layers_of(model)[ABLATED_LAYER]).register_forward_pre_hook(ablate)
    with torch.no_grad():
        logits = model(tokens[None], use_cache=False).logits[0]
    hook.remove()
    return logits


def in_older_words(config):
    """config.json of transformers 5 as older releases would have written it."""
    older = {key: value for key, value in config.items() if key not in ("transformers_version", "layer_types")}
    older["torch_dtype"] = older.pop("dtype")
    rope = older.pop("rope_parameters", None)
    if rope is not None:
        names = {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"} if older["model_type"] == "gpt_neox" else {}
        outside = ("rope_theta", "partial_rotary_factor")
        scaling = {key: value for key, value in rope.items() if key not in (*outside, "rope_type")}
        older |= {names.get(key, key): rope[key] for key in outside if key in rope}
        older["rope_scaling"] = {"type": rope["rope_type"], **scaling} if scaling else None
    return older


def record(folder, model, seed, spelling):
    """Writes the model and what it computes into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config = in_older_words(config) if spelling == "older" else config
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    golden = {}
    generator = torch.Generator().manual_seed(100 + seed)
    for number, length in enumerate(PROMPT_LENGTHS):
        tokens = torch.randint(0, model.config.vocab_size, (length,), generator=generator)
        residual, attention, logits = run(model, tokens)
        golden |= {f"tokens.{number}": tokens, f"residual.{number}": residual.contiguous(),
                   f"attention.{number}": attention.contiguous(), f"logits.{number}": logits.contiguous(),
                   f"ablated_logits.{number}": run_ablated(model, tokens).contiguous()}
    save_file(golden, folder / "golden.safetensors")


def main(names):
    for seed, (name, (spelling, make_config)) in enumerate(MODELS.items()):
        if not names or name in names:
            record(FOLDER / name, make_model(seed, make_config()), seed, spelling)


if __name__ == "__main__":
    main(sys.argv[1:])
