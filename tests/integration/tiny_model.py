"""Writes GPT-NeoX models with random weights in the Hugging Face layout, without NumPy or torch."""
import array
import json
import random
import struct

N_LAYERS, N_HEADS, D, F = 3, 4, 32, 64


def byte_alphabet():
    """The character that byte-level BPE writes for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters, extra = {}, 0
    for byte in range(256):
        characters[byte] = chr(byte if byte in plain else 256 + extra)
        extra += byte not in plain
    return characters


def tokenizer(letters):
    """Byte-level BPE whose merges make each letter one token with its leading space."""
    space = byte_alphabet()[32]
    vocabulary = {"<|endoftext|>": 0}
    for character in byte_alphabet().values():
        vocabulary[character] = len(vocabulary)
    for letter in letters:
        vocabulary[space + letter] = len(vocabulary)
    return {"version": "1.0", "normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
            "decoder": {"type": "ByteLevel"}, "added_tokens": [{"id": 0, "content": "<|endoftext|>", "special": True}],
            "model": {"type": "BPE", "vocab": vocabulary, "merges": [[space, letter] for letter in letters]}}


def write_tiny_model(folder, seed, letters="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"):
    folder.mkdir(parents=True)
    words = tokenizer(letters)
    n_vocabulary = len(words["model"]["vocab"])
    (folder / "tokenizer.json").write_text(json.dumps(words))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|endoftext|>"}))
    (folder / "config.json").write_text(json.dumps({
        "model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"], "hidden_size": D, "num_hidden_layers": N_LAYERS,
        "num_attention_heads": N_HEADS, "intermediate_size": F, "vocab_size": n_vocabulary, "max_position_embeddings": 256, "rotary_pct": 0.25,
        "rotary_emb_base": 10000, "layer_norm_eps": 1e-5, "use_parallel_residual": True, "hidden_act": "gelu", "bos_token_id": 0, "eos_token_id": 0,
        "tie_word_embeddings": False}))
    shapes = {"gpt_neox.embed_in.weight": (n_vocabulary, D), "embed_out.weight": (n_vocabulary, D),
              "gpt_neox.final_layer_norm.weight": (D,), "gpt_neox.final_layer_norm.bias": (D,)}
    for layer in range(N_LAYERS):
        for name, shape in {"input_layernorm.weight": (D,), "input_layernorm.bias": (D,), "post_attention_layernorm.weight": (D,),
                            "post_attention_layernorm.bias": (D,), "attention.query_key_value.weight": (3 * D, D),
                            "attention.query_key_value.bias": (3 * D,), "attention.dense.weight": (D, D), "attention.dense.bias": (D,),
                            "mlp.dense_h_to_4h.weight": (F, D), "mlp.dense_h_to_4h.bias": (F,), "mlp.dense_4h_to_h.weight": (D, F),
                            "mlp.dense_4h_to_h.bias": (D,)}.items():
            shapes[f"gpt_neox.layers.{layer}.{name}"] = shape
    header, data, draw = {}, b"", random.Random(seed)
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        is_norm = "norm.weight" in name
        values = array.array("f", [1 + 0.1 * draw.gauss(0, 1) if is_norm else 0.25 * draw.gauss(0, 1) for _ in range(count)]).tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
