"""Trains a pruned digits.ir for a few more epochs and writes it as ONNX.

A .ir is a safetensors file whose tensors are the model's weights under their own names. So the smaller weights load into
the same PyTorch module, made with the sizes that the file has.

    pip install torch onnx onnxscript safetensors scikit-learn
    python examples/finetune_digits.py smaller.ir tuned.onnx
"""

import argparse

import torch
from make_digits import HELD_OUT, Digits, accuracy, export, train
from safetensors.torch import load_file

DIMS = 16


def read(path):
    """The module with the sizes and the weights of a .ir file."""
    weights = load_file(path)
    width, channels = weights["patch.weight"].shape[:2]
    blocks = range(sum(name.endswith("attn.qkv.weight") for name in weights))
    model = Digits(
        channels=channels,
        width=width,
        heads=[weights[f"blocks.{i}.attn.qkv.weight"].shape[0] // (3 * DIMS) for i in blocks],
        dims=DIMS,
        hidden=[weights[f"blocks.{i}.fc1.weight"].shape[0] for i in blocks],
    )
    # Numbers inside the graph (the attention scale) are tensors of the file too, but no weights of the module.
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("output")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    model = read(arguments.model)
    before = accuracy(model)
    train(model, arguments.epochs, rate=1e-3)
    print(f"{before:.1%} of the {HELD_OUT} held-out images before, {accuracy(model):.1%} after {arguments.epochs} epochs")
    export(model, arguments.output)


if __name__ == "__main__":
    main()
