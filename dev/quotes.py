"""Code quotes: copy files into the Markdown pages that quote them, with ``python -m dev.quotes``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_QUOTE = re.compile(r"(<!-- quote: (\S+) -->\n```python\n)(.*?)(```\n)", re.DOTALL)


def body(path: Path) -> str:
    """Return a Python file without its docstring and its ``__future__`` import."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    docstring = ast.parse(text).body[0]
    rest = "".join(lines[docstring.end_lineno :])
    return rest.replace("from __future__ import annotations\n", "").lstrip("\n")


def quoted(page: str) -> str:
    """Return a page with the current code in its quotes."""
    return _QUOTE.sub(lambda match: match.group(1) + body(ROOT / match.group(2)) + match.group(4), page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(quoted(path.read_text()))
