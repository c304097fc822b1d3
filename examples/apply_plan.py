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
    if not isinstance(layout, dict):
        return groups[layout] if isinstance(layout, str) else (layout, np.arange(layout))
    (kind, parts), = layout.items()
    length, stay = (0, np.arange(0)) if kind == "sum" else (1, np.zeros(1, int))
    for inner, inside in (kept(part, groups) for part in parts):
        if kind == "sum":
            stay, length = np.concatenate([stay, length + inside]), length + inner
        else:
            stay, length = (stay[:, None] * inner + inside).ravel(), length * inner
    return length, stay


def cut(name, tensor, layouts, groups):
    """The part of a tensor that stays."""
    for axis, (length, stay) in enumerate(kept(layout, groups) for layout in layouts):
        if tensor.dim() != len(layouts) or tensor.shape[axis] != length:
            raise ValueError(f"{name} is {list(tensor.shape)}, where the plan has {layouts}")
        tensor = tensor.index_select(axis, torch.as_tensor(stay, device=tensor.device))
    return tensor


def apply_plan(plan, state):
    """The smaller state_dict. What a plan calls experts.*.weight are the tensors experts.0.weight, experts.1.weight and so on."""
    groups = {group["name"]: (group["extent"], np.array(group["kept"])) for group in plan["groups"]}
    gone = {name for block in plan.get("blocks", []) for name in block["parameters"]}
    cuts, sources = dict(plan["tensors"]), {}
    for stack in [name for name in [*cuts, *gone] if name.replace("*", "0") in state and name not in state]:
        experts = [name for name in (stack.replace("*", str(number)) for number in range(len(state))) if name in state]
        stay = [] if stack in gone else kept(cuts[stack][0], groups)[1]
        cuts |= {name: cuts[stack][1:] for name in experts[:len(stay)]}
        sources |= {experts[new]: experts[old] for new, old in enumerate(stay)}
        gone |= set(experts[len(stay):])
    # A weight that two layers share has two names here, and one in the plan.
    shared = {(state[name].data_ptr(), state[name].shape): cuts[name] for name in state if name in cuts}
    result = {name: tensor for name, tensor in state.items() if name not in gone}
    for name, tensor in result.items():
        if layouts := cuts.get(name) or shared.get((tensor.data_ptr(), tensor.shape)):
            result[name] = cut(name, state[sources.get(name, name)], layouts, groups)
    return result


if __name__ == "__main__":
    torch.save(apply_plan(json.load(open(sys.argv[1])), torch.load(sys.argv[2], "cpu", weights_only=True)), sys.argv[3])
