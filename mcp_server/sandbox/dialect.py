"""The language that code is written in: Python as RestrictedPython lets it through, and what we change in it.

Added: `d[k] += 1` and `o.a += 1`, annotations (which are dropped), `nonlocal`, a few more special methods, and imports of
the named collections of `library.NAMES`, which import nothing: the names are there already. Names and attributes that
begin with an underscore stay forbidden, so that nobody meets the guards that the compiled code calls.
"""

import ast
import re
import unicodedata  # noqa: F401  # pyright: ignore[reportUnusedImport] - the parser would load it at the first name that is not ASCII
from types import CodeType
from typing import Any

from RestrictedPython.transformer import (
    ALLOWED_FUNC_NAMES,
    IOPERATOR_TO_STR,
    RestrictingNodeTransformer,
    copy_locations,
)

from enhanced_memory.mcp_server.sandbox.library import NAMES, names_in

__all__ = ["FILE", "NotAllowed", "compiled"]

FILE = "<code>"

SPECIAL = ALLOWED_FUNC_NAMES | {
    "__add__",
    "__bool__",
    "__call__",
    "__getitem__",
    "__hash__",
    "__iter__",
    "__len__",
    "__next__",
    "__repr__",
    "__str__",
    "__sub__",
}
"""Special methods that a class may define."""

HINTS = (
    ("starts with", "take a name without a leading underscore"),
    ("Exec calls", "write the code itself"),
    ("Eval calls", "use json.loads for data"),
    ("Async", "leave async and await out: calls of the memory answer at once"),
    ("Await", "leave async and await out: calls of the memory answer at once"),
    ("Match", "use if and elif"),
    ("reserved name", "take another name"),
    ("metaclass", "leave the metaclass out"),
    ("TryStar", "use except without a star"),
    ("outside function", "assign to result what is to be answered"),
    ("nested", "split it into steps"),
)


class NotAllowed(Exception):
    """The code is not of the dialect; says where and what to do."""

    def __init__(self, kind: str, message: str, line: int | None, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.line = line
        self.hint = hint or next((hint for words, hint in HINTS if words in message), "")


def compiled(code: str) -> CodeType:
    """`code` ready to be run with the guards. `NotAllowed` where it is no Python, or not ours."""
    try:
        tree = ast.parse(code, FILE)
    except SyntaxError as problem:
        raise NotAllowed("SyntaxError", problem.msg, problem.lineno) from None
    except ValueError as problem:
        raise NotAllowed("SyntaxError", str(problem), None) from None
    except (RecursionError, MemoryError):
        raise NotAllowed("SyntaxError", "The code is nested too deeply.", None) from None
    errors: list[str] = []
    try:
        _Policy(errors, [], {}).visit(tree)
        if not errors:
            return compile(tree, FILE, "exec", dont_inherit=True)
    except (RecursionError, MemoryError):
        raise NotAllowed("SyntaxError", "The code is nested too deeply.", None) from None
    except (SyntaxError, ValueError) as problem:
        raise NotAllowed("SyntaxError", str(problem), getattr(problem, "lineno", None)) from None
    found = re.match(r"Line (\d+|None): (.*)", errors[0], re.DOTALL)
    place, message = (found[1], found[2]) if found else ("None", errors[0])
    raise NotAllowed("NotAllowed", message, int(place) if place != "None" else None)


# RestrictedPython ships no types: what its methods take and give is known to be nodes, and written as Any.
class _Policy(RestrictingNodeTransformer):
    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        if allow_magic_methods and name in SPECIAL and node.col_offset != 0:
            return
        super().check_name(node, name, allow_magic_methods)

    def visit_AugAssign(self, node: Any) -> Any:
        operator = ast.Constant(IOPERATOR_TO_STR[type(node.op)])
        target = node.target
        if isinstance(target, ast.Subscript):
            function = "_inplaceitem_"
            arguments = [self.visit(target.value), self.visit(target.slice)]
        elif isinstance(target, ast.Attribute):
            function = "_inplaceattr_"
            read: Any = ast.Attribute(target.value, target.attr, ast.Load())
            copy_locations(read, target)
            arguments = self.visit(read).args
        else:
            return super().visit_AugAssign(node)
        call = ast.Call(ast.Name(function, ast.Load()), [operator, *arguments, self.visit(node.value)], [])
        return self._at(ast.Expr(call), node)

    def visit_AnnAssign(self, node: Any) -> Any:
        if node.value is None:
            return self._at(ast.Pass(), node)
        return self.visit(self._at(ast.Assign([node.target], node.value), node))

    def visit_FunctionDef(self, node: Any) -> Any:
        node.returns = None
        return super().visit_FunctionDef(node)

    def visit_arg(self, node: Any) -> Any:
        node.annotation = None
        return super().visit_arg(node)

    def visit_Nonlocal(self, node: Any) -> Any:
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Global(self, node: Any) -> Any:
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Import(self, node: Any) -> Any:
        made: list[Any] = []
        for alias in node.names:
            if alias.name not in NAMES or getattr(node, "is_lazy", 0):
                self._no_such_import(node, alias.name)
                return node
            self.check_name(node, alias.asname)
            made.append(self._at(self._bound(alias.asname or alias.name, self._collection(alias.name)), node))
        return made

    def visit_ImportFrom(self, node: Any) -> Any:
        made: list[Any] = []
        for alias in node.names:
            there = not node.level and node.module in NAMES and not getattr(node, "is_lazy", 0)
            if not there or alias.name not in names_in(node.module):
                self._no_such_import(node, f"{node.module}.{alias.name}" if node.module else alias.name)
                return node
            self.check_name(node, alias.asname)
            key: Any = ast.Call(
                ast.Name("_getattr_", ast.Load()), [self._collection(node.module), ast.Constant(alias.name)], []
            )
            made.append(self._at(self._bound(alias.asname or alias.name, key), node))
        return made

    def _no_such_import(self, node: Any, name: str) -> None:
        self.error(node, f"There is nothing to import as {name!r}; there are {', '.join(NAMES)}.")

    @staticmethod
    def _collection(name: str) -> Any:
        return ast.Subscript(ast.Name("_collections_", ast.Load()), ast.Constant(name), ast.Load())

    @staticmethod
    def _bound(name: str, value: Any) -> Any:
        return ast.Assign([ast.Name(name, ast.Store())], value)

    @staticmethod
    def _at(made: Any, node: Any) -> Any:
        copy_locations(made, node)
        return ast.fix_missing_locations(made)
