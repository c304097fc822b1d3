"""Layouts of axes (DESIGN.md §3): text and JSON forms, and the comparison of two sets of layouts by the indices they denote.

A layout is an int, "*", a group (`Group`), `Product` or `Sum`. Text: `product(3, heads:6, dims:64)`; `:n` gives a group's extent
and may be left out once it is known. JSON is the plan's form: number, "*", name, {"product": [...]}, {"sum": [...]}, {"select": [...]}.

`labels` spells an axis out: one frozenset of (group, index) per position. A position is removed when any member of its set is.
An *atom* is one index of one group; where it occurs, over all tensors, is the set of positions that go when it goes.
"""
import collections
import math
import re

import numpy as np

Group = collections.namedtuple("Group", "name")
Product = collections.namedtuple("Product", "parts")
Sum = collections.namedtuple("Sum", "parts")
Select = collections.namedtuple("Select", "name index")


class LayoutError(ValueError):
    """A layout that cannot be read, or does not fit its axis."""


# ------------------------------------------------------------------------------------------------ reading
def parse(text, extents=None):
    """A layout from text or a number; extents of groups (`name:6`) are collected in `extents`."""
    if isinstance(text, int):
        return text
    tokens = re.findall(r"[(),]|[^\s(),]+", text)
    position = 0

    def take():
        nonlocal position
        if position >= len(tokens):
            raise LayoutError(f"layout {text!r} ends early")
        position += 1
        return tokens[position - 1]

    def layout():
        word = take()
        if word in "(),":
            raise LayoutError(f"layout {text!r}: unexpected {word!r}")
        if word in ("product", "sum") and position < len(tokens) and tokens[position] == "(":
            parts, ends = [], ","
            take()
            while ends == ",":
                parts.append(layout())
                ends = take()
            if ends != ")":
                raise LayoutError(f"layout {text!r}: expected ) instead of {ends!r}")
            return (Product if word == "product" else Sum)(tuple(parts))
        if word == "*":
            return "*"
        if word.isdigit():
            return int(word)
        name, _, extent = word.rpartition(":") if re.search(r":\d+$", word) else (word, "", "")
        if extent and extents is not None and extents.setdefault(name, int(extent)) != int(extent):
            raise LayoutError(f"group {name} has the extents {extents[name]} and {extent}")
        return Group(name)

    result = layout()
    if position != len(tokens):
        raise LayoutError(f"layout {text!r}: {tokens[position]!r} is left over")
    return result


def from_json(raw):
    """A layout from the plan's JSON form."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        return "*" if raw == "*" else Group(raw)
    if isinstance(raw, dict) and len(raw) == 1:
        (kind, parts), = raw.items()
        if kind == "select":
            return Select(*parts)
        if kind in ("product", "sum"):
            return (Product if kind == "product" else Sum)(tuple(from_json(p) for p in parts))
    raise LayoutError(f"{raw!r} is not a layout")


def to_json(layout):
    """The plan's JSON form of a layout."""
    if isinstance(layout, Group):
        return layout.name
    if isinstance(layout, Product):
        return {"product": [to_json(p) for p in layout.parts]}
    if isinstance(layout, Sum):
        return {"sum": [to_json(p) for p in layout.parts]}
    return {"select": [layout.name, layout.index]} if isinstance(layout, Select) else layout


def text(layout):
    """DESIGN's text form of a layout."""
    if isinstance(layout, Group):
        return layout.name
    if isinstance(layout, (Product, Sum)):
        return f"{'product' if isinstance(layout, Product) else 'sum'}({', '.join(text(p) for p in layout.parts)})"
    return f"select({layout.name}, {layout.index})" if isinstance(layout, Select) else str(layout)


# ------------------------------------------------------------------------------------------------ indices
def size(layout, extents):
    """The extent of a layout, or None when a part of it is unknown."""
    if isinstance(layout, Group):
        return extents.get(layout.name)
    if isinstance(layout, (Product, Sum)):
        sizes = [size(p, extents) for p in layout.parts]
        return None if None in sizes else math.prod(sizes) if isinstance(layout, Product) else sum(sizes)
    return 1 if isinstance(layout, Select) else None if layout == "*" else layout


def fitted(layout, extent, extents):
    """(layout, extent) of every part of a product or sum; the one part of unknown size takes what the others leave."""
    sizes = [size(p, extents) for p in layout.parts]
    known = [s for s in sizes if s is not None]
    if isinstance(layout, Product):
        whole = math.prod(known)
        rest, left = divmod(extent, max(1, whole))
        missing, bad = rest, left != 0 or len(known) == len(sizes) and whole != extent
    else:
        missing = extent - sum(known)
        bad = missing < 0 or len(known) == len(sizes) and missing != 0
    if bad or len(known) < len(sizes) - 1:
        raise LayoutError(f"{text(layout)} does not fit an axis of {extent}")
    return [(p, missing if s is None else s) for p, s in zip(layout.parts, sizes)]


def labels(layout, extent, extents, keep=lambda name: True):
    """One frozenset of (group, index) per position of an axis; groups that `keep` refuses count as numbers."""
    if isinstance(layout, Sum):
        return [label for part, n in fitted(layout, extent, extents) for label in labels(part, n, extents, keep)]
    if isinstance(layout, Product):
        result = [frozenset()]
        for part, n in fitted(layout, extent, extents):
            inner = labels(part, n, extents, keep)
            result = [a | b for a in result for b in inner]
        return result
    known = size(layout, extents)
    if known is not None and known != extent:
        raise LayoutError(f"{text(layout)} has the extent {known}, the axis has {extent}")
    if isinstance(layout, Group) and keep(layout.name):
        return [frozenset([(layout.name, i)]) for i in range(extent)]
    return [frozenset()] * extent


def groups_in(layout):
    """Names of the groups in a layout, in order of first occurrence."""
    if isinstance(layout, Group):
        return [layout.name]
    if isinstance(layout, (Product, Sum)):
        return list(dict.fromkeys(g for p in layout.parts for g in groups_in(p)))
    return [layout.name] if isinstance(layout, Select) else []


def kept_positions(layout, extent, extents, kept):
    """Positions of an axis that stay when each group in `kept` keeps these indices; other groups keep all."""
    sets = {name: set(indices) for name, indices in kept.items()}
    spelt = labels(layout, extent, extents, keep=sets.__contains__)
    return [p for p, label in enumerate(spelt) if all(i in sets[g] for g, i in label)]


def order(layout, extent, extents, permutations):
    """Where each position of an axis takes its number from when index i of a group becomes permutations[group][i]."""
    if isinstance(layout, Sum):
        parts, start = [], 0
        for part, n in fitted(layout, extent, extents):
            parts.append(start + order(part, n, extents, permutations))
            start += n
        return np.concatenate(parts) if parts else np.arange(0)
    if isinstance(layout, Product):
        result = np.zeros(1, np.int64)
        for part, n in fitted(layout, extent, extents):
            result = (result[:, None] * n + order(part, n, extents, permutations)[None, :]).ravel()
        return result
    if isinstance(layout, Group) and layout.name in permutations:
        return permutations[layout.name]
    return np.arange(extent)


# ------------------------------------------------------------------------------------------------ comparison
def occurrences(tensors, shapes, extents, keep=lambda name: True):
    """group -> {index: frozenset of (tensor, axis, position)} over `tensors`: name -> layouts, one per axis."""
    found = collections.defaultdict(lambda: collections.defaultdict(set))
    for name, layouts in tensors.items():
        if len(layouts) != len(shapes[name]):
            raise LayoutError(f"{name} has {len(layouts)} layouts for rank {len(shapes[name])}")
        for axis, (layout, extent) in enumerate(zip(layouts, shapes[name])):
            try:
                spelt = labels(layout, extent, extents, keep)
            except LayoutError as e:
                raise LayoutError(f"{name}, axis {axis}: {e}") from None
            for position, label in enumerate(spelt):
                for group, index in label:
                    found[group][index].add((name, axis, position))
    return {g: {i: frozenset(where) for i, where in by_index.items()} for g, by_index in found.items()}


Comparison = collections.namedtuple("Comparison", "same finer coarser pairs")
Comparison.__doc__ = """same: the two sides are equal up to names. finer: messages about groups of ours that can be removed apart where
theirs are tied or frozen. coarser: messages about groups of theirs that ours cannot remove so. pairs: their name -> our name."""


def compare(theirs, ours):
    """Two `occurrences` over the same tensors. Ours serves theirs when what goes with each of their atoms is a union of ours."""
    by_atoms = {frozenset(atoms.values()): name for name, atoms in ours.items()}
    pairs, finer, coarser, used = {}, [], [], set()
    our_atoms = [(name, where) for name, atoms in ours.items() for where in atoms.values()]
    at = collections.defaultdict(list)
    for number, (_, where) in enumerate(our_atoms):
        for place in where:
            at[place].append(number)
    for name, atoms in theirs.items():
        twin = by_atoms.get(frozenset(atoms.values()))
        if twin is not None:
            pairs[name] = twin
            used.add(twin)
            continue
        missing, parts = set(), set()
        for where in atoms.values():
            inside = {n for place in where for n in at[place] if our_atoms[n][1] <= where}
            missing |= where - {p for n in inside for p in our_atoms[n][1]}
            parts |= {our_atoms[n][0] for n in inside}
        example = min((p for where in atoms.values() for p in where), key=lambda p: (p[0], p[1], p[2]))
        if missing:
            tensor, axis, position = min(missing)
            has = sorted({our_atoms[n][0] for n in at[(tensor, axis, position)]})
            coarser.append(f"{name} ({len(atoms)} indices, e.g. {example[0]} axis {example[1]}): position {position} of {tensor} axis {axis} "
                           + (f"goes only with more, by {', '.join(has)}" if has else "is frozen"))
        else:
            used |= parts
            finer.append(f"{name} ({len(atoms)} indices, e.g. {example[0]} axis {example[1]}) is {', '.join(sorted(parts))}")
    for name in ours.keys() - used:
        if not any(name in c for c in coarser):
            tensor, axis, _ = min(min(w) for w in ours[name].values())
            finer.append(f"{name} ({len(ours[name])} indices, {tensor} axis {axis}) is a group of its own, or frozen there")
    return Comparison(not finer and not coarser, finer, coarser, pairs)
