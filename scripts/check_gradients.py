#!/usr/bin/env python3
"""Records PyTorch's gradients of the zoo's small models in Tests/Fixtures/gradients/NAME.npz.

The models are those of make_zoo_fixtures.py, in f64. For every parameter stands its gradient's length and four projections on vectors of
random signs (SplitMix64), which is enough to tell the distance of another gradient from it: E (s · d)² = |d|². Per loss there is
LOSS.names (the parameters' names, one a line, in bytes) and LOSS.figures ([parameters, 5], f64), and LOSS.loss.

The Swift test `ZooGradientTests` compares. Needs what make_zoo_fixtures.py needs. `check_gradients.py [NAME...]` records those named, or all.
`check_gradients.py --against DUMP.npz NAME` compares with whole gradients that `prunec run` wrote (arrays out.grad.PARAMETER).
"""
import pathlib
import sys

import numpy as np
import torch

import make_zoo_fixtures as zoo

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Tests/Fixtures/gradients"
PROJECTIONS = 4


def signs(count, seed):
    """`count` signs of SplitMix64 with a seed: the highest bit of each number."""
    with np.errstate(over="ignore"):
        bits = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits = bits ^ (bits >> np.uint64(31))
    return np.where(bits >> np.uint64(63), -1.0, 1.0)


def figures(gradient):
    flat = gradient.reshape(-1)
    return [np.linalg.norm(flat)] + [float(signs(flat.size, seed + 1) @ flat) for seed in range(PROJECTIONS)]


def losses(outputs, inputs):
    """By name, the losses of a model's outputs; as `prunec differentiate --loss` defines them."""
    first = next(iter(outputs))
    y = outputs[first]
    yield "sum-squares", sum((value ** 2).sum() for value in outputs.values())
    if first == "logits" and y.ndim == 2:
        yield "cross-entropy", torch.nn.functional.cross_entropy(y, torch.arange(len(y)) % y.shape[1])
    elif first == "logits" and "attention_mask" not in inputs:
        tokens = inputs["input_ids"][:, 1:]
        yield "next-token", torch.nn.functional.cross_entropy(y[:, :-1].reshape(-1, y.shape[-1]), tokens.reshape(-1))
    else:
        target = torch.from_numpy(signs(y.numel(), 99)).reshape(y.shape)
        yield "mse", torch.nn.functional.mse_loss(y, target)


def as_stored(name, gradients):
    """Gradients by the names that a checkpoint has for the parameters: experts stand by themselves there."""
    result = {}
    for key, gradient in gradients.items():
        if name == "mixtral":
            key = key.replace("mlp.", "block_sparse_moe.")
        first, last = ("w1", "w3", "w2"), ("gate_proj", "up_proj", "down_proj")
        gate, up, down = first if name == "mixtral" else last
        if key.endswith("experts.gate_up_proj"):
            base = key.removesuffix(".gate_up_proj")
            for expert, both in enumerate(gradient):
                half = len(both) // 2
                result |= {f"{base}.{expert}.{gate}.weight": both[:half], f"{base}.{expert}.{up}.weight": both[half:]}
        elif key.endswith("experts.down_proj"):
            base = key.removesuffix(".down_proj")
            result |= {f"{base}.{expert}.{down}.weight": g for expert, g in enumerate(gradient)}
        else:
            result[key] = gradient
    return result


class Recorder:
    """Takes the place of what make_zoo_fixtures.py does with a model: nothing is written but gradients."""

    def __init__(self):
        self.models, self.gradients = {}, {}
        shake = zoo.shake

        def remember(model):
            self.model = shake(model)
            if hasattr(model, "config"):
                # The grouped product knows no f64.
                model.config._experts_implementation = "eager"
            return self.model

        zoo.shake, zoo.write, zoo.save_with_transformers = remember, self.write, lambda name, model: None

    def write(self, name, config, state, inputs, outputs):
        model = self.model.double()
        given = {key: value.double() if value.is_floating_point() else value for key, value in inputs.items()}
        if "x" in inputs:
            made = {next(iter(outputs)): model(given["x"])}
        else:
            cache = {} if "attention_mask" in inputs else {"use_cache": False}
            result = model(**given, **cache)
            made = {key: result[key] for key in outputs}
        parameters = [(key, value) for key, value in model.named_parameters() if value.requires_grad]
        self.gradients = {}
        arrays = {}
        for loss, value in losses(made, inputs):
            found = torch.autograd.grad(value, [p for _, p in parameters], retain_graph=True, allow_unused=True)
            whole = {key: np.zeros(p.shape) if g is None else g.numpy() for (key, p), g in zip(parameters, found)}
            whole = as_stored(name, whole)
            self.gradients[loss] = whole
            arrays[f"{loss}.names"] = np.frombuffer("\n".join(whole).encode(), dtype=np.uint8)
            arrays[f"{loss}.figures"] = np.array([figures(g) for g in whole.values()])
            arrays[f"{loss}.loss"] = np.array(value.item())
        self.arrays = arrays


def main():
    arguments = sys.argv[1:]
    recorder = Recorder()
    dump = None
    if arguments[:1] == ["--against"]:
        dump, arguments = np.load(arguments[1]), arguments[2:]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in arguments or list(zoo.FIXTURES):
        torch.manual_seed(0)
        zoo.FIXTURES[name]()
        if dump is None:
            np.savez(FOLDER / f"{name}.npz", **recorder.arrays)
            print(name, [key[:-5] for key in recorder.arrays if key.endswith(".loss")], (FOLDER / f"{name}.npz").stat().st_size, "bytes")
            continue
        for loss, whole in recorder.gradients.items():
            errors = [
                (np.linalg.norm(dump[f"out.grad.{key}"] - g) / max(np.linalg.norm(g), 1e-30), key)
                for key, g in whole.items() if f"out.grad.{key}" in dump
            ]
            print(name, loss, len(errors), "gradients; worst:", sorted(errors)[-3:])


if __name__ == "__main__":
    main()
