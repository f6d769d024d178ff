"""Writes the corpus that the fuzzers start from and corpus_test.cc replays: python make_corpus.py."""
import json
import pathlib
import zipfile

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent / "checkpoint" / "data"


def write(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def configs():
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 16, "vocab_size": 11, "max_position_embeddings": 64}
    rope = {"rope_type": "default", "rope_theta": 5000, "partial_rotary_factor": 0.5}
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    silu = {"hidden_act": "silu", "rms_norm_eps": 1e-5, "num_key_value_heads": 1}
    return {
        "gpt_neox": sizes | {"model_type": "gpt_neox", "hidden_act": "gelu", "layer_norm_eps": 1e-5, "bos_token_id": 0, "rope_parameters": rope},
        "gpt_neox_old": sizes | {"model_type": "gpt_neox", "hidden_act": "gelu", "rotary_pct": 0.25, "rotary_emb_base": 10000, "tie_word_embeddings": True},
        "gpt2": {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 8, "n_ctx": 64, "n_positions": 64, "vocab_size": 11, "activation_function": "gelu_new"},
        "llama": sizes | silu | {"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": llama3, "bos_token_id": [1, 2]},
        "mistral": sizes | silu | {"model_type": "mistral", "sliding_window": 32, "head_dim": 4},
        "qwen2": sizes | silu | {"model_type": "qwen2", "use_sliding_window": False, "sliding_window": 32, "max_window_layers": 2},
        "qwen3": sizes | silu | {"model_type": "qwen3", "head_dim": 8, "attention_bias": False},
        "quantised": sizes | {"model_type": "gpt_neox", "quantization_config": {"bits": 4}},
    }


def safetensors_header():
    """Tensors of every kind over the 5568 bytes that the target has behind the header."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, dtype, shape, each in [("w", "F32", [24, 8], 4), ("h", "F16", [100], 2), ("b", "BF16", [2, 2, 2], 2), ("mask", "BOOL", [4, 4], 1), ("none", "F32", [0, 3], 4)]:
        size = each
        for n in shape:
            size *= n
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    header["rest"] = {"dtype": "F32", "shape": [(5568 - offset) // 4], "data_offsets": [offset, 5568]}
    return header


def main():
    for name, config in configs().items():
        write("config", name, config)
    write("safetensors_header", "every_dtype", safetensors_header())
    write("safetensors_header", "gap", {"w": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}})
    write("shard_index", "two_shards", {"metadata": {"total_size": 12}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-2.safetensors"}})
    write("shard_index", "outside", {"weight_map": {"a": "../model.safetensors"}})
    for tokenizer in ("added_tokens", "llama3", "qwen2", "smollm2"):
        document = json.loads((DATA / f"{tokenizer}.json").read_text())
        write("tokenizer", tokenizer, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    write("tokenizer", "unigram", {"model": {"type": "Unigram", "vocab": [["a", 0.0]]}})
    for path in sorted((DATA / "torch").glob("*.bin")):
        write("torch_file", path.stem, path.read_bytes())
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                write("pickle", path.stem, archive.read(f"{path.stem}/data.pkl"))


if __name__ == "__main__":
    main()
