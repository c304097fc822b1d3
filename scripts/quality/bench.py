"""What the cases share: running prunec, counting parameters, remembering results, and the table."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
import torch


@dataclass
class Setting:
    """One trained model with its data: what prunec and its rivals get, and how their results are judged."""

    #: An ONNX file or a checkpoint folder.
    model: str
    #: An .npz with an array per input; the first axis counts samples.
    data: str
    #: Parameters of the whole model.
    parameters: int
    #: Parameters that a share of 1 would remove.
    prunable: int
    #: From the path of an ONNX file or a folder to the numbers of `Case.columns`.
    judge: Callable[[str], tuple[float, ...]]
    #: From a share to the parameters that are gone and the numbers, by the rival's name.
    rivals: dict[str, Callable[[float], tuple[int, tuple[float, ...]]]] = field(default_factory=dict)


@dataclass
class Method:
    """One way to call prunec."""

    criterion: str
    compensation: str
    arguments: list[str]
    #: The result is a checkpoint folder instead of an ONNX file.
    folder: bool = False

    @property
    def name(self):
        return f"prunec {self.criterion} · {self.compensation}" + (" (folder)" if self.folder else "")


@dataclass
class Case:
    """A model to prune: how it comes about, what of it goes, and what counts."""

    name: str
    title: str
    shares: tuple[float, ...]
    #: What the judge's numbers are.
    columns: tuple[str, ...]
    #: From the numbers of the original and of a smaller model to what was lost; 0 is no loss.
    loss: Callable[[tuple[float, ...], tuple[float, ...]], float]
    methods: list[Method]
    #: From the folder for this case and a seed to the model and data.
    prepare: Callable[[str, int], Setting]


#: What prunec can be told to choose by, beside its own way.
CRITERIA = ("l2", "taylor", "activation", "fluctuation")


def methods(arguments):
    """Every criterion with what is done for the layers that lose inputs, then prunec's own choice of both."""
    crossed = [
        Method(criterion, how, [*arguments, "--criterion", criterion, "--compensate", how])
        for criterion in CRITERIA for how in ("none", "bias", "ridge")
    ]
    return [*crossed, Method("default", "obs", [*arguments, "--compensate", "obs"]), Method("default", "auto", arguments)]


class Refused(Exception):
    """A tool could not do what it was asked for; the message says how it said so."""


class Results:
    """Numbers that were measured before, in a file."""

    def __init__(self, path):
        self.path = path
        self.known = {}
        if os.path.exists(path):
            with open(path) as f:
                self.known = json.load(f)

    def get(self, key, measure):
        """What is known under the key, or else what `measure` returns. Errors are not kept: they may have passed next time."""
        if key not in self.known:
            found = measure()
            if isinstance(found, dict) and "error" in found:
                return found
            self.known[key] = found
            with open(self.path + ".new", "w") as f:
                json.dump(self.known, f, indent=1)
            os.replace(self.path + ".new", self.path)
        return self.known[key]


def digest(path):
    """Twelve hexadecimal digits that change with the file."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()[:12]


def count_parameters(path):
    """Numbers in the floating-point weights of an ONNX file or of a folder with safetensors."""
    if os.path.isdir(path):
        from safetensors import safe_open

        total = 0
        for name in sorted(os.listdir(path)):
            if name.endswith(".safetensors"):
                with safe_open(os.path.join(path, name), "pt") as f:
                    weights = [f.get_slice(key) for key in f.keys()]
                    total += sum(int(np.prod(w.get_shape())) for w in weights if "F" in w.get_dtype())
        return total
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)
    graph = onnx.load(path, load_external_data=False).graph
    return sum(int(np.prod(t.dims)) for t in graph.initializer if t.data_type in floats and t.dims)


def session(path):
    """An ONNX Runtime session on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def export(model, example, path, inputs, outputs, dynamic=None):
    """Writes a PyTorch model as ONNX with a free batch size."""
    batch = torch.export.Dim("batch")
    dynamic = dynamic or tuple({0: batch} for _ in example)
    program = torch.onnx.export(
        model, example, dynamo=True, dynamic_shapes=dynamic, input_names=inputs, output_names=outputs, opset_version=18, verbose=False
    )
    program.save(path)


def prune(prunec, setting, method, share, output):
    """Runs prunec; returns its seconds. Removes what was there before."""
    if os.path.isdir(output):
        shutil.rmtree(output)
    elif os.path.exists(output):
        os.remove(output)
    keep = 1 - share * setting.prunable / setting.parameters
    call = [prunec, setting.model, "-o", output, "--data", setting.data, "--keep-params", f"{keep:.6f}", "--round-to", "1"]
    call += method.arguments
    began = time.perf_counter()
    done = subprocess.run(call, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    with open(output.removesuffix(".onnx") + ".log", "w") as f:
        print(" ".join(call), "", done.stdout, done.stderr, sep="\n", file=f)
    if done.returncode or not os.path.exists(output):
        lines = [line for line in re.split(r"[\r\n]+", done.stderr + done.stdout) if line.strip()]
        raise Refused(next((line for line in lines if "error" in line), lines[-1] if lines else f"exit {done.returncode}")[:400])
    return time.perf_counter() - began


def measure(case, work, seeds, prunec, with_rivals, only=None, say=print):
    """Measures everything that is not known yet: a dictionary from (share, method) to one entry per seed, and the originals' numbers."""
    folder = os.path.join(work, case.name)
    os.makedirs(folder, exist_ok=True)
    results = Results(os.path.join(folder, "results.json"))
    version = digest(prunec)
    originals, table = [], {}
    for seed in seeds:
        setting = case.prepare(folder, seed)
        original = tuple(results.get(f"{seed} original", lambda: setting.judge(setting.model)))
        originals.append(original)
        for share in case.shares:
            for method in case.methods:
                if only and not re.search(only, method.name):
                    continue

                def ours():
                    label = re.sub(r"[^a-z0-9]+", "-", method.name.lower()).strip("-")
                    output = os.path.join(folder, f"{seed}-{share:g}-{label}" + ("" if method.folder else ".onnx"))
                    try:
                        seconds = prune(prunec, setting, method, share, output)
                        numbers = setting.judge(output)
                    except Refused as error:
                        return {"error": str(error)}
                    before = count_parameters(setting.model) if method.folder else setting.parameters
                    gone = before - count_parameters(output)
                    return {"removed": gone / setting.prunable, "numbers": list(numbers), "seconds": seconds}

                arguments = " ".join(method.arguments)
                entry = results.get(f"{seed} {share:g} {method.name} [{arguments}] {version}", ours)
                table.setdefault((share, method.name), []).append(entry)
                say(progress(case, seed, share, method.name, entry))
            for name, rival in setting.rivals.items() if with_rivals else ():

                def theirs():
                    try:
                        gone, numbers = rival(share)
                    except Exception as error:  # whatever a rival raises is its result
                        return {"error": f"{type(error).__name__}: {error}"[:400]}
                    return {"removed": gone / setting.prunable, "numbers": list(numbers)}

                entry = results.get(f"{seed} {share:g} {name}", theirs)
                table.setdefault((share, name), []).append(entry)
                say(progress(case, seed, share, name, entry))
    return originals, table


def progress(case, seed, share, name, entry):
    """A line for one measurement."""
    what = entry.get("error") or f"removed {entry['removed']:.3f}  " + " ".join(f"{x:.4f}" for x in entry["numbers"])
    seconds = f"  {entry['seconds']:.0f} s" if "seconds" in entry else ""
    return f"  seed {seed}  {share:4.0%}  {name:<44} {what}{seconds}"


def mean_and_range(values: Sequence[float], digits=3):
    """`0.921 (0.920–0.924)`, or the number alone when there is one."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def show(case, originals, table):
    """The table as Markdown. The last column is our loss in parts of the best rival's: the bar is a third."""
    lines = [f"## {case.title}", ""]
    numbers = [mean_and_range([o[i] for o in originals]) for i in range(len(case.columns))]
    lines += ["The original: " + ", ".join(f"{c} {n}" for c, n in zip(case.columns, numbers)), ""]
    header = ["to remove", "method", "removed", *case.columns, "loss", "of the best rival's"]
    lines += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for share in case.shares:
        rows = {name: entries for (s, name), entries in table.items() if s == share}
        losses = {}
        for name, entries in rows.items():
            if not any("error" in e for e in entries):
                losses[name] = float(np.mean([case.loss(o, e["numbers"]) for o, e in zip(originals, entries)]))
        theirs = {name: loss for name, loss in losses.items() if not name.startswith("prunec")}
        best = min(theirs, key=theirs.get) if theirs else None
        for name, entries in rows.items():
            if name not in losses:
                error = next(e["error"] for e in entries if "error" in e)
                lines.append(f"| {share:.0%} | {name} | – | " + f"{error} |" + " |" * (len(header) - 4))
                continue
            cells = [mean_and_range([e["numbers"][i] for e in entries]) for i in range(len(case.columns))]
            if name == best:
                against = "**best rival**"
            elif best is None or name in theirs:
                against = ""
            else:
                against = f"{max(losses[name], 0) / losses[best]:.2f}" if losses[best] > 0 else "rival lost nothing"
            removed = f"{np.mean([e['removed'] for e in entries]):.3f}"
            lines.append(f"| {share:.0%} | {name} | {removed} | " + " | ".join(cells) + f" | {losses[name]:.4f} | {against} |")
    return "\n".join(lines)
