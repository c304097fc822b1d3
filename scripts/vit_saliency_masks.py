"""Head and neuron masks by saliency, checked against gradients of PyTorch.

    python scripts/vit_saliency_masks.py [--prunec .build/debug/prunec]

Makes a small vision transformer with a fused `blocks.N.attn.qkv` (3 x heads x dim), takes the gradient of its cross-entropy over some
labelled images in PyTorch, and scores heads in numpy: the sum over a head's slice of qkv.weight of |weight x gradient|. The masks that
`prunec masks --criterion saliency --data` writes must be the same, number for number. Needs torch, onnx, numpy and safetensors.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.numpy import load_file

WIDTH, HEADS, DIM, HIDDEN = 32, 4, 8, 48


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * HEADS * DIM)
        self.proj = nn.Linear(HEADS * DIM, WIDTH)

    def forward(self, x):
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, HEADS, DIM).permute(2, 0, 3, 1, 4)
        share = (q @ k.transpose(-2, -1) / DIM ** 0.5).softmax(-1)
        return self.proj((share @ v).transpose(1, 2).reshape(batch, tokens, HEADS * DIM))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = nn.LayerNorm(WIDTH), Attention(), nn.LayerNorm(WIDTH), Mlp()

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, WIDTH, 4, 4)
        self.position = nn.Parameter(torch.randn(1, 9, WIDTH) * 0.02)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(x)).mean(1))


def kept(scores, ratio):
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    flags = np.zeros(len(scores), np.float32)
    flags[order[:max(1, int(np.floor(len(scores) * (1 - ratio) + 1e-9)))]] = 1
    return flags


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prunec", default=".build/debug/prunec")
    options = parser.parse_args()
    folder = tempfile.mkdtemp()
    wrong = 0
    for seed in range(3):
        torch.manual_seed(seed)
        model = Vit().eval()
        images, labels = torch.randn(24, 1, 12, 12), torch.randint(0, 10, (24,))
        F.cross_entropy(model(images), labels).backward()
        path, data, output = (os.path.join(folder, n) for n in ("vit.onnx", "data.npz", "masks.safetensors"))
        torch.onnx.export(model, (images[:2],), path, input_names=["x"], output_names=["logits"], dynamo=False,
                          dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}})
        np.savez(data, x=images.numpy(), labels=labels.numpy())
        for kinds, names in (("heads", ["attn.qkv"]), ("hidden", ["mlp.fc1"]), ("heads,hidden", ["attn.qkv", "mlp.fc1"])):
            for ratio in (0.25, 0.5):
                subprocess.run(
                    [options.prunec, "masks", path, "-o", output, "--criterion", "saliency", "--data", data, "--loss", "cross-entropy",
                     "--kinds", kinds, "--ratio", str(ratio), "--round-to", "1", "--score-by", "*attn.qkv*,*mlp.fc1*", "--quiet"],
                    check=True)
                masks = load_file(output)
                equal = True
                for index, block in enumerate(model.blocks):
                    for name in names:
                        weight = block.get_submodule(name).weight
                        figure = np.abs(weight.detach().numpy().astype(np.float64) * weight.grad.numpy())
                        mask = masks.get(f"blocks.{index}.{name}.weight")
                        if name == "attn.qkv":
                            flags = kept(figure.reshape(3, HEADS, -1).sum((0, 2)), ratio)
                            rows = np.broadcast_to(flags[None, :, None], (3, HEADS, DIM)).reshape(-1)
                        else:
                            rows = kept(figure.sum(1), ratio)
                        wanted = np.broadcast_to(rows[:, None], figure.shape)
                        equal = equal and mask is not None and mask.dtype == np.float32 and (mask == wanted).all()
                wrong += not equal
                print(f"{'ok   ' if equal else 'WRONG'} saliency {kinds:12s} ratio {ratio} seed {seed}: "
                      f"{'equal to PyTorch and numpy' if equal else 'different'}")
    if wrong:
        sys.exit(f"{wrong} sets of masks are not as they should be")


if __name__ == "__main__":
    main()
