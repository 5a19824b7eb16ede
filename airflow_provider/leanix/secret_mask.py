"""Secrets of configurations: masked by the names of their fields, and wherever the same text occurs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from airflow_provider.core.redaction import REDACTED, Redactor
from airflow_provider.errors import InputError
from airflow_provider.leanix.configurations import key_of

_NAMES = re.compile(
    r"token|secret|passw|passphrase|passcode|pwd|credential|connectionstring|signature|authori[sz]ation|bearer|cookie"
    r"|(api|access|account|private|shared|storage|subscription|function|functions|encryption|master|host)keys?"
)
"""Parts of the names of fields that hold secrets, with all that is in them; in small letters."""

_LAST_WORDS = frozenset({"pass", "pw", "jwt", "pem"})
"""Last words of names of such fields, besides those that are a kind of key."""

_NO_SECRET_KEYS = frozenset(
    [
        *(
            "data",
            "entity",
            "external",
            "facet",
            "field",
            "foreign",
            "group",
            "index",
            "item",
            "label",
            "ldif",
        ),
        *("map", "mapping", "object", "parent", "partition", "primary", "public", "sort", "sync", "tag"),
        *("translation", "unique"),
    ]
)
"""Words before ``key`` that make it no secret, but a name or an id."""


_PARAMETERS = frozenset({"key", "code", "auth", "sig"})
"""Names of parameters of a URL that are secrets there only."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_LABELS = frozenset({"key", "name", "header", "parameter", "param", "property", "variable", "field", "id"})
_VALUES = frozenset({"value", "values", "default", "content"})
"""Last words of the fields of a pair: ``{"headerName": "x-api-key", "headerValue": …}``."""

_FORMS = re.compile(
    r"LXT_[A-Za-z0-9_-]+"
    r"|(?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^/@\s]+(?=@)"
    r"|(?i:(?<=accountkey=)|(?<=sharedaccesskey=)|(?<=sharedaccesssignature=))[^;\s\"']+",
    re.DOTALL,
)
"""Texts in the form of a secret: API tokens, private keys, users in URLs, and parts of connection strings."""

_NAMED = re.compile(
    r"""(?P<before>[?&;#])?(?<![\w.%-])(?P<name>(?i:api|access|secret|private) key|[A-Za-z][\w.%-]{0,80})"""
    r"""(?P<sign>["']?\s*(?:=(?!=)|:(?!//))\s*)"""
    r"""(?P<value>"[^"]+"|'[^']+'|[^\s"',;&#<>]+)"""
)
"""Named values in a text: ``?code=…``, ``password: …``."""

_MASKED = re.compile(
    r".{0,12}[*•●]{3,}.{0,12}|x{3,}(?:[-.]?\w{1,4})?|[<\[({]?(?:redacted|masked|hidden)[>\])}]?",
    re.IGNORECASE,
)
"""The form of a secret that is masked, by the service or in a plan."""

_PROBE = "pr0be-of-a-secret"


def is_masked(value: Any) -> bool:
    """Return whether the value of a field for secrets is masked: it cannot be compared, nor be stored."""
    return isinstance(value, str) and bool(_MASKED.fullmatch(value))


class SecretMask:
    """Mask of the secrets in configurations.

    A value is a secret by the name of its field, or of one around it, or by its form. A text that is a secret
    in one place is masked wherever it occurs, in all its encodings.

    :param configurations: the configurations whose secrets are masked.
    """

    def __init__(self, *configurations: Any) -> None:
        hidden = [node for one in configurations for node in _nodes(one) if node.is_secret]
        texts = {str(node.value) for node in hidden if _can_be_secret(node.value)}
        self.secrets = sorted(text for text in texts if not is_masked(text))
        self._paths = {node.path for node in hidden}
        self._redactor = Redactor(self.secrets)

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        return self._redactor.redact(_NAMED.sub(_without_value, _FORMS.sub(REDACTED, text)))

    def value(self, value: Any, *, is_secret: bool = False) -> Any:
        """Return a JSON value without the secrets; its shape stays.

        :param is_secret: whether the value stands in a field for secrets.
        """
        if isinstance(value, Mapping):
            return {
                name: self.value(one, is_secret=hidden) for name, one, hidden in _fields(value, is_secret)
            }
        if isinstance(value, list):
            return [self.value(one, is_secret=is_secret) for one in value]
        if is_secret and _can_be_secret(value):
            return REDACTED
        return self.text(value) if isinstance(value, str) else value

    def at(self, path: str, value: Any) -> Any:
        """Return a value without the secrets, which stands at a path.

        :param path: names of the fields around it: ``credentials.apiToken``.
        """
        is_scalar = not isinstance(value, (Mapping, list))
        return self.value(value, is_secret=self.hides(path) or (is_scalar and str(value) in self.secrets))

    def hides(self, path: str) -> bool:
        """Return whether the value at a path is a secret by the names of its fields."""
        return path in self._paths


def placeholders(configuration: Mapping[str, Any]) -> list[str]:
    """Return the paths of secrets that are masked, so that storing them would destroy those that are stored.

    :param configuration: a configuration that is to be stored.
    """
    return [
        node.path
        for node in _nodes(configuration)
        if isinstance(node.value, str)
        and (is_masked(node.value) if node.is_secret else _has_masked_form(node.value))
    ]


def raise_if_masked(configurations: Iterable[Mapping[str, Any]]) -> None:
    """Raise when configurations that are to be stored have masks instead of secrets.

    :raises InputError: with the fields of all of them.
    """
    problems = [
        f"{path} of {'/'.join(key_of(one))} is masked; storing that would destroy the secret: give the secret"
        for one in configurations
        for path in placeholders(one)
    ]
    if problems:
        raise InputError(problems, "configuration")


def _has_masked_form(text: str) -> bool:
    """Return whether a text has a mask where a secret would stand, such as the password of a URL."""
    probe = text.replace(REDACTED, _PROBE)
    return REDACTED in text and SecretMask().text(probe) != probe


@dataclass(frozen=True, slots=True)
class _Node:
    """A value in a configuration.

    :param path: its path: ``headers[0].value``.
    :param value: the value.
    :param is_secret: whether it is a secret by the names of its fields.
    """

    path: str
    value: Any
    is_secret: bool


def _fields(value: Mapping[str, Any], is_secret: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield name, value, and whether it is a secret, of each field; of ``{"key": …, "value": …}``, too."""
    is_pair = any(
        isinstance(label, str) and _last_word(name) in _LABELS and is_secret_name(label)
        for name, label in value.items()
    )
    for name, one in value.items():
        hidden = is_secret or is_secret_name(name) or (is_pair and _last_word(name) in _VALUES)
        yield name, one, hidden


def is_secret_name(name: Any) -> bool:
    """Return whether a field, a header or a parameter with this name holds a secret."""
    words = _words(name)
    if not words:
        return False
    is_key = words[-1] in ("key", "keys") and len(words) > 1 and words[-2] not in _NO_SECRET_KEYS
    return is_key or "sas" in words or words[-1] in _LAST_WORDS or bool(_NAMES.search("".join(words)))


def _words(name: Any) -> list[str]:
    return [word.lower() for word in _WORDS.findall(str(name))]


def _last_word(name: Any) -> str:
    return (_words(name) or [""])[-1]


def _without_value(found: re.Match[str]) -> str:
    """Return a named value in a text, masked when it is a secret, and no reference to one."""
    name, value = found["name"], found["value"]
    is_secret = is_secret_name(unquote(name)) or (found["before"] and name.lower() in _PARAMETERS)
    if not is_secret or value.startswith(("${", "{{", REDACTED)) or value.lower() in ("bearer", "basic"):
        return found.group()
    return f"{found['before'] or ''}{name}{found['sign']}{REDACTED}"


def _can_be_secret(value: Any) -> bool:
    return value not in (None, "") and not isinstance(value, (bool, Mapping, list))


def _nodes(value: Any, path: str = "", is_secret: bool = False) -> Iterator[_Node]:
    """Yield a configuration and all values in it; the paths are those of its changes."""
    if path:
        yield _Node(path, value, is_secret)
    if isinstance(value, Mapping):
        for name, one, hidden in _fields(value, is_secret):
            yield from _nodes(one, f"{path}.{name}" if path else str(name), hidden)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _nodes(one, f"{path}[{number}]", is_secret)
