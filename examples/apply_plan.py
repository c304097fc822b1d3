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
    """Length of an axis, and of every index that stays its position, {group: index}, and what lists of heads add: (group, place, stride)."""
    if isinstance(layout, int):
        return layout, [(index, {}, []) for index in range(layout)]
    if isinstance(layout, str):
        extent, over, lists = groups[layout]
        if over:
            return extent, [(0, {}, [(layout, place, 1)]) for place in range(lists.shape[-1])]
        return extent, [(index, {layout: index}, []) for index in lists]
    (kind, parts), = layout.items()
    if kind == "select":
        return 1, [(0, {parts[0]: parts[1]}, [])]
    length, stay = (0, []) if kind == "sum" else (1, [(0, {}, [])])
    for inner, inside in (kept(part, groups) for part in parts):
        if kind == "sum":
            stay, length = stay + [(length + at, own, terms) for at, own, terms in inside], length + inner
        else:
            stay, length = [(at * inner + place, own | more, [(g, k, s * inner) for g, k, s in terms] + others)
                            for at, own, terms in stay for place, more, others in inside], length * inner
    return length, stay


def positions(axis, axes, groups):
    """Where an axis is read, as an array that broadcasts with those of the other axes: each head's own list where a group varies over heads."""
    stay = axes[axis]
    over = {outer for _, own, terms in stay for group, _, _ in terms for outer in groups[group][1] if outer not in own}
    beside = {next(at for at, entries in enumerate(axes) if at != axis and outer in entries[0][1]) for outer in over}
    result = np.empty([len(entries) if at in beside | {axis} else 1 for at, entries in enumerate(axes)], int)
    for place in np.ndindex(*result.shape):
        at, own, terms = stay[place[axis]]
        index = {outer: number for other in beside for outer, number in axes[other][place[other]][1].items()} | own
        result[place] = at + sum(groups[g][2][tuple(index[o] for o in groups[g][1])][k] * stride for g, k, stride in terms)
    return result


def cut(name, tensor, layouts, groups):
    """The part of a tensor that stays."""
    axes = [kept(layout, groups) for layout in layouts]
    if list(tensor.shape) != [length for length, _ in axes]:
        raise ValueError(f"{name} is {list(tensor.shape)}, where the plan has {layouts}")
    axes = [stay for _, stay in axes]
    return tensor[tuple(torch.as_tensor(positions(at, axes, groups), device=tensor.device) for at in range(len(axes)))]


def apply_plan(plan, state):
    """The smaller state_dict. What a plan calls experts.*.weight are the tensors experts.0.weight, experts.1.weight and so on."""
    groups = {group["name"]: (group["extent"], group.get("over", []), np.array(group["kept"])) for group in plan["groups"]}
    gone = {name for block in plan.get("blocks", []) for name in block["parameters"]}
    cuts, sources = dict(plan["tensors"]), {}
    for stack in [name for name in [*cuts, *gone] if name.replace("*", "0") in state and name not in state]:
        experts = [name for name in (stack.replace("*", str(number)) for number in range(len(state))) if name in state]
        stay = [] if stack in gone else [index for index, _, _ in kept(cuts[stack][0], groups)[1]]
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
