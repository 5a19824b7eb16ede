"""The vocabulary and English of docs/architecture.md, held against every text that people read.

One file a case, so that ``pytest tests/unit/test_language.py -k amigocloud`` checks one area.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # words do not depend on versions

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(
    path
    for folder in ("airflow_provider", "example_dags", "dev", "tests/support", "tests/fault_matrix")
    for path in (ROOT / folder).rglob("*.py")
)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

GIVEN_UP = {
    "retry, attempt": r"tries|tried again|tr(y|ies) again|again and again|anew|goes on|going on|go on"
    r"|(a|an|the|this|that|its|one|each|every|first|next|last|later|earlier|further|other|another) try",
    "poll, monitor, observation": r"looks? at|looked at|looking at|(a|first) look|lookouts?|sightings?|told",
    "request, checkpoint, resume point, history": r"wish|wishes|wished|journals?",
    "outcome, classify": r"judge[sd]?|judging|judg(e)?ments?|verdicts?|settle[sd]?|settling",
    "retry limits, circuit breaker, no response": r"patience|patient|patiently|brakes?|hopeless",
    "atomic file, temporary file, final name": r"publications?",
    "snapshot, new items, mismatches": r"worlds?|newcomers?|unlike",
    "encodings, redact": r"spelled|spells",
    "the noun that is meant": r"nobody|everybody|somebody|whoever",
    "permanently": r"for good",
}
"""What to say instead, and the words that were given up."""

NAMES_GIVEN_UP = (
    r"anew|lookout|sighting|wish|journal|judge|judgement|verdict|settle|patience|brake|lost|again|hopeless"
    r"|publication|world|newcomer|unlike|spelled|nobody|everybody|tell|opened|past|kept"
)
"""Words that no module, class or function is named with."""

PUBLIC = {"patience"}
"""Given-up words that are also names users write: an extra of the connections."""

FIRST_WORDS = r"(Give|Say|Tell|What|How|Who|Where|Whether|Let|Look|Takes|Reads|Gives|Says|Tells|Lets)s?\b"
"""How no docstring begins: it is an imperative in the field's verbs, or names its concept."""

WORDS = {
    better: re.compile(rf"(?<![\w`/.-])({words})(?![\w`-])", re.IGNORECASE)
    for better, words in GIVEN_UP.items()
}
IN_NAMES = re.compile(rf"(?:^|_)({NAMES_GIVEN_UP})(?:_|$)")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module that people read, each with its line: comments, docstrings, messages."""
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("# noqa"):
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def found_in(text: str) -> list[str]:
    return [
        f"{match[0]!r} (say: {better})"
        for better, words in WORDS.items()
        for match in words.finditer(text)
        if match[0].lower() not in PUBLIC or "extra" not in text
    ]


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the first lines of docstrings, with their lines."""
    for node in ast.walk(tree):
        documented = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        if documented and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text.splitlines()[0]


def named(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the names of classes and functions in snake case, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower()


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_uses_the_words_of_the_field(path: Path) -> None:
    tree = ast.parse(path.read_text())
    problems = [f"line {line}: {word}" for line, text in texts(path) for word in found_in(text)]
    problems += [
        f"line {line}: begins with {text[:40]!r}"
        for line, text in docstrings(tree)
        if re.match(FIRST_WORDS, text)
    ]
    if "tests" not in path.parts:
        problems += [
            f"line {line}: the name {name}"
            for line, name in [*named(tree), (1, path.stem)]
            if IN_NAMES.search(name)
        ]
    assert problems == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_use_the_words_of_the_field(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    lines = enumerate(text.splitlines(), start=1)
    assert [f"line {number}: {word}" for number, line in lines for word in found_in(line)] == []


@pytest.mark.parametrize(
    "text",
    [
        "begins anew at the next try",
        "the judge's verdict",
        "Nobody knows",
        "a look at the world",
        "told of it",
    ],
)
def test_words_that_were_given_up_are_found(text: str) -> None:
    assert found_in(text)


@pytest.mark.parametrize(
    "text", ["retry later", "try: except", "look up an id", "it tried twice", "`settle`"]
)
def test_words_in_use_are_not(text: str) -> None:
    assert found_in(text) == []
