"""Text that every machine with Python has: the docstrings of its standard library."""
import ast
import os
import re
import sysconfig


def docstrings():
    """Every docstring of the standard library but its tests, in the order of files and lines."""
    root, found = sysconfig.get_path("stdlib"), []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ("site-packages", "test", "tests", "__pycache__"))
        for name in sorted(files):
            if not name.endswith(".py"):
                continue
            try:
                with open(os.path.join(folder, name), errors="ignore") as f:
                    tree = ast.parse(f.read())
            except (SyntaxError, ValueError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                    text = ast.get_docstring(node)
                    if text:
                        found.append(text)
    return found


def sentences():
    """Sentences of 5 to 40 words of the docstrings, sorted, each once."""
    found = set()
    for text in docstrings():
        for sentence in re.split(r"(?<=[.!?])\s+", text):
            words = sentence.split()
            if 5 <= len(words) <= 40 and words[0][0].isalpha():
                found.add(" ".join(words))
    return sorted(found)
