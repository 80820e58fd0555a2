"""A machine for the pickles of sparse matrices: it knows their instructions and no others, and it is bounded.

Python's own unpickler cannot be held to a bound: a few bytes make it allocate gigabytes (the memo), never end (the hash
of a tuple that holds itself many times over) or overflow its stack (nested tuples). Here the number of instructions is
limited, so what is built is small beside the file; only text and small numbers are hashed; and a pickle acts on nothing
but the records below. The instructions are decoded by ``pickletools``.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from recmm.errors import UnsafePickleError

STEPS = 10_000  # a matrix needs about a hundred
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
TEXT = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
VALUES = NUMBERS | BYTES | TEXT
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Record:
    """What a pickle may make and give a state; subclasses keep it without using it."""

    def set_state(self, state: Any) -> None:
        raise NotImplementedError


class Function:
    """A function that a pickle may call."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


def run(content: bytes, admitted: Mapping[tuple[str, str], type[Record] | Function]) -> Any:
    """What the pickle describes, made of numbers, text, bytes, tuples, lists, dicts and ``admitted`` records.

    Args:
        admitted: (module, name) -> what stands for it.
    Raises:
        UnsafePickleError: another name, which is the message.
        ValueError, LookupError, TypeError, OverflowError: not a pickle, damaged, or with an instruction or an amount of
            them that no matrix needs; and what the records raise.
    """
    machine = _Machine(admitted)
    for step, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if step == STEPS:
            raise ValueError(f"it takes more than {STEPS:,} steps, a sparse matrix about a hundred")
        if opcode.name == "STOP":
            return machine.stack.pop()
        machine.step(opcode.name, argument)
    raise ValueError("it does not stop")


class _Machine:
    """Stack, marked stacks below it, and memo; as in the module ``pickle``, whose names the instructions have."""

    def __init__(self, admitted: Mapping[tuple[str, str], type[Record] | Function]) -> None:
        self.admitted = admitted
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in TUPLES:
            self.replace(TUPLES[name], lambda *values: values)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in ("GLOBAL", "INST"):
            self.name(*argument.split(" ", 1))
            if name == "INST":
                raise ValueError("the instruction INST")
        elif name not in ("PROTO", "FRAME"):
            method = getattr(self, f"do_{name.lower()}", None)
            if method is None:
                raise ValueError(f"the instruction {name}")
            method()

    def replace(self, count: int, make: Callable[..., Any]) -> None:
        """The last ``count`` values by what is made of them."""
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        self.stack.append(make(*values))

    def since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.below.pop()
        return values

    def name(self, module: str, name: str) -> None:
        if (module, name) not in self.admitted:
            raise UnsafePickleError(f"{module}.{name}")
        self.stack.append(self.admitted[module, name])

    def do_mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def do_pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def do_pop_mark(self) -> None:
        self.since_mark()

    def do_dup(self) -> None:
        self.stack.append(self.stack[-1])

    def do_tuple(self) -> None:
        values = tuple(self.since_mark())
        self.stack.append(values)

    def do_list(self) -> None:
        values = self.since_mark()
        self.stack.append(values)

    def do_empty_list(self) -> None:
        self.stack.append([])

    def do_append(self) -> None:
        value = self.stack.pop()
        _expect(self.stack[-1], list).append(value)

    def do_appends(self) -> None:
        values = self.since_mark()
        _expect(self.stack[-1], list).extend(values)

    def do_empty_dict(self) -> None:
        self.stack.append({})

    def do_dict(self) -> None:
        values = self.since_mark()
        self.stack.append({})
        self.set_items(values)

    def do_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def do_setitems(self) -> None:
        self.set_items(self.since_mark())

    def set_items(self, values: list[Any]) -> None:
        target = _expect(self.stack[-1], dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str) and not (isinstance(key, int) and -(2**63) <= key < 2**63):
                raise ValueError("a dictionary whose keys are neither text nor small numbers")
            target[key] = value

    def do_stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.name(_expect(module, str), _expect(name, str))

    def do_reduce(self) -> None:
        arguments, function = _expect(self.stack.pop(), tuple), self.stack.pop()
        made = function.call if isinstance(function, Function) else _expect(function, type)
        self.stack.append(made(*arguments))

    def do_newobj(self) -> None:
        arguments, kind = _expect(self.stack.pop(), tuple), _expect(self.stack.pop(), type)
        self.stack.append(kind(*arguments))

    def do_build(self) -> None:
        state = self.stack.pop()
        _expect(self.stack[-1], Record).set_state(state)


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"an object of type {type(value).__name__} in place of {kind.__name__}")
    return value
