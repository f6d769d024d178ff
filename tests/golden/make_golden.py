#!/usr/bin/env python3
"""Makes the golden data of the engine's tests: tiny GPT-NeoX models and what Hugging Face transformers computes with them.

    python tests/golden/make_golden.py

Needs torch, transformers >= 5 and safetensors (made with torch 2.13.0 and transformers 5.23.0). Writes models/<name>/ beside
this file:
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

import torch
from safetensors.torch import save_file
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

PROMPT_LENGTHS = [1, 7, 20, 31]
ABLATED_LAYER, ABLATED_HEAD = 1, 1
FOLDER = pathlib.Path(__file__).parent / "models"

# Each model is another branch of the decoder: residual form, rotary fraction and base, head size, activation.
MODELS = {
    "parallel": dict(hidden_size=32, num_attention_heads=2, rotary_pct=0.25, rotary_emb_base=10000,
                     use_parallel_residual=True, hidden_act="gelu"),
    "sequential": dict(hidden_size=32, num_attention_heads=4, rotary_pct=1.0, rotary_emb_base=500,
                       use_parallel_residual=False, hidden_act="gelu"),
    "half_rotary": dict(hidden_size=36, num_attention_heads=3, rotary_pct=0.5, rotary_emb_base=10000,
                        use_parallel_residual=True, hidden_act="gelu_new"),
}


def make_model(seed, sizes):
    torch.manual_seed(seed)
    rope = {"rope_type": "default", "rope_theta": float(sizes["rotary_emb_base"]),
            "partial_rotary_factor": sizes["rotary_pct"]}
    config = GPTNeoXConfig(vocab_size=64, num_hidden_layers=3, intermediate_size=4 * sizes["hidden_size"],
                           max_position_embeddings=48, tie_word_embeddings=False, attention_dropout=0.0,
                           hidden_dropout=0.0, bos_token_id=0, eos_token_id=0, rope_parameters=rope,
                           hidden_size=sizes["hidden_size"], num_attention_heads=sizes["num_attention_heads"],
                           hidden_act=sizes["hidden_act"], use_parallel_residual=sizes["use_parallel_residual"],
                           attn_implementation="eager")
    model = GPTNeoXForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                weight.normal_(1.0, 0.3)
            elif name.endswith("bias"):
                weight.normal_(0.0, 0.3)
            else:
                weight.normal_(0.0, 1.0 / weight.shape[1] ** 0.5)
    return model


def run(model, tokens):
    residual = []
    hooks = [model.gpt_neox.embed_in.register_forward_hook(lambda module, args, out: residual.append(out[0].clone()))]
    for layer in model.gpt_neox.layers:
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

    hook = model.gpt_neox.layers[ABLATED_LAYER].attention.dense.register_forward_pre_hook(ablate)
    with torch.no_grad():
        logits = model(tokens[None], use_cache=False).logits[0]
    hook.remove()
    return logits


def write_config(folder, model, sizes):
    # The keys as the Pythia checkpoints have them, in place of the newer rope_parameters.
    config = json.loads(model.config.to_json_string(use_diff=False))
    kept = ["model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
            "max_position_embeddings", "layer_norm_eps", "use_parallel_residual", "hidden_act", "tie_word_embeddings",
            "bos_token_id", "eos_token_id"]
    config = {key: config[key] for key in kept}
    config |= {"architectures": ["GPTNeoXForCausalLM"], "rotary_pct": sizes["rotary_pct"],
               "rotary_emb_base": sizes["rotary_emb_base"], "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main():
    for seed, (name, sizes) in enumerate(MODELS.items()):
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        model = make_model(seed, sizes)
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink()
        write_config(folder, model, sizes)
        golden = {}
        generator = torch.Generator().manual_seed(100 + seed)
        for number, length in enumerate(PROMPT_LENGTHS):
            tokens = torch.randint(0, 64, (length,), generator=generator)
            residual, attention, logits = run(model, tokens)
            golden |= {f"tokens.{number}": tokens, f"residual.{number}": residual.contiguous(),
                       f"attention.{number}": attention.contiguous(), f"logits.{number}": logits.contiguous(),
                       f"ablated_logits.{number}": run_ablated(model, tokens).contiguous()}
        save_file(golden, folder / "golden.safetensors")


if __name__ == "__main__":
    main()
