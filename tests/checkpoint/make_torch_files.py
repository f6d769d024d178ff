"""Writes data/torch/*.bin, what torch.save makes of small dictionaries: python make_torch_files.py. Needs torch."""
import collections
import pathlib

import torch

FOLDER = pathlib.Path(__file__).parent / "data" / "torch"


def save(name, value, **options):
    torch.save(value, FOLDER / f"{name}.bin", **options)


def state():
    """Every kind of tensor that a checkpoint may hold, with numbers that tell their place."""
    grid = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    weights = collections.OrderedDict()
    weights["grid"] = grid
    weights["tied"] = grid  # the same storage, whole
    weights["last_row"] = grid[2]  # and a part of it
    weights["half"] = torch.tensor([0.5, -2.0], dtype=torch.float16)
    weights["brain"] = torch.tensor([[1.5], [-3.0]], dtype=torch.bfloat16)
    weights["parameter"] = torch.nn.Parameter(torch.tensor([7.0, 8.0]))
    weights["scalar"] = torch.tensor(-1e4)
    weights["empty"] = torch.zeros(0, 3)
    weights["column"] = grid[:, :1].clone()
    for dtype in (torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        weights[str(dtype).removeprefix("torch.")] = torch.ones(3, dtype=dtype)
    return weights


def main():
    FOLDER.mkdir(exist_ok=True)
    torch.manual_seed(1)
    save("state", state())
    save("module", torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3)).state_dict())
    save("nested", {"state_dict": {"w": torch.ones(2)}, "step": 3})
    save("transposed", {"w": torch.arange(6.0).reshape(2, 3).T})
    save("float8", {"w": torch.ones(2).to(torch.float8_e4m3fn)})
    save("legacy", {"w": torch.ones(2)}, _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
