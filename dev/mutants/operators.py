"""Mutants of a module: one small change of its source each."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Div,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
SWAPPED = {
    first: second
    for pair in (
        ("min", "max"),
        ("any", "all"),
        ("lower", "upper"),
        ("lstrip", "rstrip"),
        ("removeprefix", "removesuffix"),
        ("partition", "rpartition"),
        ("startswith", "endswith"),
        ("find", "rfind"),
        ("index", "rindex"),
    )
    for first, second in (pair, pair[::-1])
}
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
DECLARATIONS = {"TypeVar", "ParamSpec", "NewType", "getLogger", "cast", "TypeAliasType"}
"""Calls that say something to people or to the type checker only."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """One change of a module.

    :param path: the module, relative to the repository.
    :param function: qualified name of the outermost function that is changed; empty for code that runs on
        import.
    :param lines: first and last line of the statement; the tests that run one of them are those to run. Empty
        for code that runs on import.
    :param line: line of the change.
    :param start: offset of the change in the source's bytes.
    :param end: offset of its end.
    :param before: the text that is replaced.
    :param after: the text that replaces it.
    :param key: identifier that stays the same while the function does.
    """

    path: str
    function: str
    lines: tuple[int, ...]
    line: int
    start: int
    end: int
    before: str
    after: str
    key: str

    def apply(self, source: str) -> str:
        """Return the module's source with the change.

        :param source: the source without it.
        """
        text = source.encode()
        return (text[: self.start] + self.after.encode() + text[self.end :]).decode()

    @property
    def change(self) -> str:
        """The change as a line of text."""
        return f"{' '.join(self.before.split())} -> {' '.join(self.after.split())}"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return the mutants of a module, in the order of its lines.

    Logging, messages of exceptions, annotations, decorators, assertions and docstrings stay as they are.

    :param path: the module, relative to the repository.
    :param source: its text.
    """
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return finder.found


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.text = source.encode()
        self.offsets = [0]
        for line in source.splitlines(keepends=True):
            self.offsets.append(self.offsets[-1] + len(line.encode()))
        self.found: list[Mutant] = []
        self.scope: list[str] = []
        self.functions: list[tuple[str, str]] = []
        self.statement: tuple[int, ...] = ()
        self.quiet = 0
        self.counts: dict[str, int] = {}

    def add(self, node: ast.expr | ast.stmt, after: ast.AST | str) -> None:
        text = after if isinstance(after, str) else ast.unparse(after)
        if isinstance(node, ast.expr) and not isinstance(after, (str, ast.Constant)):
            text = f"({text})"
        start = self.offsets[node.lineno - 1] + node.col_offset
        end = self.offsets[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        before = self.text[start:end].decode()
        function, body = self.functions[0] if self.functions else ("", "")
        seed = f"{self.path}\0{function}\0{body}\0{before}\0{text}"
        number = self.counts[seed] = self.counts.get(seed, -1) + 1
        key = hashlib.sha256(f"{seed}\0{number}".encode()).hexdigest()[:12]
        self.found.append(
            Mutant(self.path, function, self.statement, node.lineno, start, end, before, text, key)
        )

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            before, self.statement = self.statement, _lines(node) if self.functions else ()
            super().visit(node)
            self.statement = before
        else:
            super().visit(node)

    # Scopes

    def _function(self, node: Function) -> None:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        self.scope.append(node.name)
        self.functions.append((".".join(self.scope), ast.unparse(node)))
        for child in node.body:
            self.visit(child)
        self.functions.pop()
        self.scope.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        for child in node.body:
            self.visit(child)
        self.scope.pop()

    # Statements

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) or _is_log(node.value):
            return
        if self.functions and isinstance(node.value, (ast.Call, ast.Await)):
            self.add(node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Name) and target.id.startswith("__") for target in node.targets):
            return
        if self.functions and all(
            isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets
        ):
            self.add(node, "pass")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and ast.unparse(node.annotation) != "TypeAlias":
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        swapped = copy.copy(node)
        if other := ARITHMETIC.get(type(node.op)):
            swapped.op = other()
            self.add(node, swapped)
        self.add(node, ast.Assign([node.target], node.value, lineno=0))
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not isinstance(node.value, ast.Constant):
            self.add(node, "return None")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        if "NotImplementedError" in ast.unparse(node):
            return
        self.add(node, "pass")
        self.quiet += 1
        if node.exc is not None:
            self.visit(node.exc)
        self.quiet -= 1

    def visit_Break(self, node: ast.Break) -> None:
        self.add(node, "pass")

    def visit_Continue(self, node: ast.Continue) -> None:
        self.add(node, "break")

    def visit_Assert(self, node: ast.Assert) -> None:
        """Assertions inform the type checker."""

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return
        self._condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._condition(test)
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        if isinstance(test, (ast.Name, ast.Attribute, ast.Call, ast.NamedExpr)):
            self.add(test, ast.UnaryOp(ast.Not(), test))

    # Expressions

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if ast.unparse(node.value) != "Literal":
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            swapped = copy.copy(node)
            swapped.ops = [*node.ops]
            swapped.ops[place] = COMPARISONS[type(operator)]()
            self.add(node, swapped)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        swapped = copy.copy(node)
        swapped.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self.add(node, swapped)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        texts = (ast.JoinedStr, ast.List, ast.Tuple)
        text = isinstance(node.left, texts) or (
            isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
        )
        if (other := ARITHMETIC.get(type(node.op))) and not text:
            swapped = copy.copy(node)
            swapped.op = other()
            self.add(node, swapped)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.add(node, ast.unparse(node.operand) if isinstance(node.operand, ast.Constant) else node.operand)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.add(node, node.body)
        self.add(node, node.orelse)
        self.generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if _is_log(node) or name in DECLARATIONS:
            return
        if name in SWAPPED:
            swapped = copy.deepcopy(node)
            if isinstance(swapped.func, ast.Attribute):
                swapped.func.attr = SWAPPED[name]
            else:
                swapped.func = ast.Name(SWAPPED[name])
            self.add(node, swapped)
        for place, keyword in enumerate(node.keywords):
            if keyword.arg is not None and self.functions:
                shorter = copy.copy(node)
                shorter.keywords = [*node.keywords[:place], *node.keywords[place + 1 :]]
                self.add(node, shorter)
        if name == "isinstance":
            self.visit(node.args[0])
            return
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self.add(node, str(not value))
        elif isinstance(value, (int, float)):
            self.add(node, repr(value + 1))
        elif isinstance(value, str) and not self.quiet and not _is_message(value):
            self.add(node, repr(f"XX{value}XX" if value else "XX"))
        elif isinstance(value, bytes) and not self.quiet:
            self.add(node, repr(b"XX" + value))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        literal = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        if not self.quiet and literal and not _is_message(literal):
            changed = copy.copy(node)
            changed.values = [ast.Constant("XX"), *node.values]
            self.add(node, changed)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)


def _lines(node: ast.stmt) -> tuple[int, ...]:
    """Return the first and the last line of a statement; of one with a body, those of its head."""
    last = node.end_lineno or node.lineno
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    if body:
        first = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
        last = max(node.lineno, first.lineno - 1)
    return (node.lineno, last)


def _is_message(text: str) -> bool:
    return " " in text.strip()


def _is_log(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr in LOG_METHODS and ast.unparse(node.func.value).endswith(("log", "logger"))


def sample(mutants: list[Mutant], size: int, seed: str) -> Iterator[Mutant]:
    """Yield a random sample of mutants, which stays the same while their functions do.

    :param mutants: all of them.
    :param size: number of mutants; 0 for all.
    :param seed: text that decides which.
    """
    if not size:
        yield from mutants
        return

    def chance(mutant: Mutant) -> str:
        return hashlib.sha256(f"{seed} {mutant.key}".encode()).hexdigest()

    yield from sorted(mutants, key=chance)[:size]
