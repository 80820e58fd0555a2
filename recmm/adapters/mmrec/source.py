"""A model file: who may run it, the class in it, and what its text tells about its attributes."""

import ast
import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import torch

from recmm.adapters.mmrec.abstract_recommender import GeneralRecommender
from recmm.adapters.mmrec.environment import around, interface
from recmm.errors import ConfigError
from recmm.trust import refuse_untrusted_file

_numbers = itertools.count()


def refuse_file(path: Path) -> None:
    """Raise ConfigError unless ``path`` is a file that the user trusts. Nothing is run."""
    if not path.is_file():
        raise ConfigError(f"model.file={path}: there is no such file.")
    refuse_untrusted_file(path, f"model.file={path}")


class ModelFile:
    """A file in MMRec's interface, run once in a module of its own.

    Attributes:
        model: its class.
        reassigned: class name -> attributes that methods other than the constructor set, itself and what it calls left
            out: a state that changes with every batch or epoch.
        moved_parameters: class name -> attributes bound to ``Parameter(...).to(device)`` or ``.cuda()``. On a GPU that
            is a plain tensor, on the CPU the parameter itself.

    Raises:
        ConfigError: the file is absent, not trusted, no Python, imports what is not there, or has no model.
    """

    def __init__(self, path: Path) -> None:
        refuse_file(path)
        self.path, content = path, path.read_bytes()
        module = ModuleType(f"recmm_model_{path.stem}_{next(_numbers)}")  # two runs of one file share nothing
        module.__file__ = str(path)
        self._modules = interface() | {module.__name__: module}
        try:
            self._tree = ast.parse(content, str(path))
            with self.running():
                exec(compile(self._tree, str(path), "exec"), vars(module))
        except ImportError as error:
            raise ConfigError(
                f"model.file={path} cannot be imported: {error}. Install what is missing; of MMRec's own modules the "
                f"adapter has {', '.join(name for name in interface() if '.' in name and 'models' not in name)}."
            ) from error
        except SyntaxError as error:
            raise ConfigError(f"model.file={path} is no Python: {error.msg} (line {error.lineno}).") from error
        self.text = content.decode(errors="replace")
        self.model = self._find(module)
        classes = [node for node in ast.walk(self._tree) if isinstance(node, ast.ClassDef)]
        self.reassigned = {node.name: _reassigned(node) for node in classes}
        self.moved_parameters = {node.name: _moved_parameters(node) for node in classes}

    def running(self, device: torch.device | None = None) -> AbstractContextManager[None]:
        """While code of this file runs, it finds MMRec's modules."""
        return around(self._modules, device)

    def _find(self, module: ModuleType) -> type[GeneralRecommender]:
        """The model: the only one, or the one that the file is named after."""
        found = [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, GeneralRecommender) and kind.__module__ == module.__name__
        ]
        named = [kind for kind in found if kind.__name__.lower() == self.path.stem.lower()]
        chosen = named or found
        if len(chosen) != 1:
            names = ", ".join(kind.__name__ for kind in found) or "none"
            raise ConfigError(
                f"model.file={self.path} needs one subclass of GeneralRecommender, or one with the name of the file; "
                f"it has {names}."
            )
        return chosen[0]


def _methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}


def _of_constructor(node: ast.ClassDef) -> set[str]:
    """The constructor and the methods that it calls, directly or through others."""
    methods, seen, todo = _methods(node), set[str](), ["__init__"]
    while todo:
        name = todo.pop()
        if name in methods and name not in seen:
            seen.add(name)
            calls = (part for part in ast.walk(methods[name]) if isinstance(part, ast.Call))
            todo += [call.func.attr for call in calls if isinstance(call.func, ast.Attribute) and _is_own(call.func)]
    return seen


def _is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _assigned(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr | None]]:
    """Name and value of every ``self.name = value``."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            pairs = [(node.target, node.value)] if node.value else []
        else:
            continue
        for target, value in pairs:
            for part in ast.walk(target):
                if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store) and _is_own(part):
                    yield part.attr, value


def _reassigned(node: ast.ClassDef) -> set[str]:
    constructing = _of_constructor(node)
    later = (function for name, function in _methods(node).items() if name not in constructing)
    return {name for function in later for name, _ in _assigned(function)}


def _moved_parameters(node: ast.ClassDef) -> set[str]:
    constructing = (function for name, function in _methods(node).items() if name in _of_constructor(node))
    pairs = (pair for function in constructing for pair in _assigned(function))
    return {name for name, value in pairs if value is not None and _is_moved_parameter(value)}


def _is_moved_parameter(value: ast.expr) -> bool:
    """Whether this is ``Parameter(...).to(...)`` or ``Parameter(...).cuda()``."""
    if not (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in ("to", "cuda")
    ):
        return False
    made = value.func.value
    name = made.func if isinstance(made, ast.Call) else None
    return (isinstance(name, ast.Attribute) and name.attr == "Parameter") or (
        isinstance(name, ast.Name) and name.id == "Parameter"
    )
