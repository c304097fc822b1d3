#!/usr/bin/env python3
"""Cuts the weights of a PyTorch model by a plan of prunec: prunec FOLDER -o SMALLER --plan plan.json, then where you train

    python3 apply_plan.py plan.json weights.pt smaller.pt       or in Python       smaller = apply_plan(plan, model.state_dict())

Tensors that the plan does not name stay as they are; those of dropped blocks go. Layers keep their numbers.
"""
import json
import sys

import numpy as np
import torch


def kept(layout, groups):
    """Length of an axis, and its positions that stay."""
    if isinstance(layout, int):
        return layout, np.arange(layout)
    if isinstance(layout, str):
        return groups[layout]
    (kind, parts), = layout.items()
    length, stay = (0, np.arange(0)) if kind == "sum" else (1, np.zeros(1, int))
    for inner, inside in (kept(part, groups) for part in parts):
        if kind == "sum":
            stay, length = np.concatenate([stay, length + inside]), length + inner
        else:
            stay, length = (stay[:, None] * inner + inside).ravel(), length * inner
    return length, stay


def cut(name, tensor, axes):
    """The part of a tensor that stays."""
    if list(tensor.shape) != [length for length, _ in axes]:
        raise ValueError(f"{name} is {list(tensor.shape)}, where the plan has {[length for length, _ in axes]}")
    for axis, (_, stay) in enumerate(axes):
        tensor = tensor.index_select(axis, torch.as_tensor(stay, device=tensor.device))
    return tensor


def apply_plan(plan, state):
    """The smaller state_dict. What a plan calls experts.*.weight are the tensors experts.0.weight, experts.1.weight and so on."""
    groups = {group["name"]: (group["extent"], np.array(group["kept"])) for group in plan["groups"]}
    gone = [name.split("*") for block in plan.get("blocks", []) for name in block["parameters"]]
    cuts, sources = {}, {name: name for name in state}
    for name, axes in ((name, [kept(axis, groups) for axis in axes]) for name, axes in plan["tensors"].items()):
        for number in range(axes[0][0] if "*" in name else 0):
            stays = dict(enumerate(axes[0][1]))
            cuts[name.replace("*", str(number))] = axes[1:]
            sources[name.replace("*", str(number))] = name.replace("*", str(stays[number])) if number in stays else None
        cuts[name] = axes
    # A weight that two layers share has two names here, and one in the plan.
    shared = {(state[name].data_ptr(), state[name].shape): axes for name, axes in cuts.items() if name in state}
    kinds = {name: cuts.get(name, shared.get((tensor.data_ptr(), tensor.shape))) for name, tensor in state.items()}
    isGone = {n: sources[n] is None or any(n.startswith(p[0]) and n.endswith(p[-1]) for p in gone) for n in state}
    return {n: state[n] if kinds[n] is None else cut(n, state[sources[n]], kinds[n]) for n in state if not isGone[n]}


if __name__ == "__main__":
    _, plan, weights, smaller = sys.argv
    torch.save(apply_plan(json.load(open(plan)), torch.load(weights, map_location="cpu", weights_only=True)), smaller)
