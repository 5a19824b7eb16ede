"""Secrets of configurations: masked by the names of their fields, and wherever the same text occurs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.core.redaction import REDACTED, Redactor

_NAMES = re.compile(
    r"token|secret|passw|pwd|credential|connection_?string|(api|access|account|private|shared|storage)[_-]?key"
    r"|signature|authori[sz]ation|(^|[_-])sas($|[_-]|url)",
    re.IGNORECASE,
)
"""Names of fields that hold secrets, with all that is in them."""

_FORMS = re.compile(
    r"LXT_[A-Za-z0-9_-]+"
    r"|(?<=://)[^/@\s]+(?=@)"
    r"|(?i:(?<=accountkey=)|(?<=sharedaccesskey=)|(?<=sharedaccesssignature=))[^;\s\"']+"
)
"""Texts in the form of a secret: API tokens, users in URLs, and parts of connection strings."""

_MASKED = re.compile(r".{0,4}[*•x]{3,}.{0,4}|<?(?:redacted|masked|hidden)>?", re.IGNORECASE)
"""The form of a secret that the service itself has masked."""


def is_masked(value: Any) -> bool:
    """Return whether a stored value is a secret that the service has masked: it cannot be compared."""
    return isinstance(value, str) and bool(_MASKED.fullmatch(value))


class SecretMask:
    """Mask of the secrets in configurations.

    A value is a secret by the name of its field, or of one around it, or by its form. A text that is a secret
    in one place is masked wherever it occurs, in all its encodings.

    :param configurations: the configurations whose secrets are masked.
    """

    def __init__(self, *configurations: Any) -> None:
        found = {text for one in configurations for text in _secrets(one) if not is_masked(text)}
        self.secrets = sorted(found)
        self._redactor = Redactor(self.secrets)

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        return self._redactor.redact(_FORMS.sub(REDACTED, text))

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
        return self.value(
            value, is_secret=bool(_NAMES.search(path)) or (is_scalar and str(value) in self.secrets)
        )


def _fields(value: Mapping[str, Any], is_secret: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield name, value, and whether it is a secret, of each field; of ``{"key": …, "value": …}``, too."""
    label = next((value[name] for name in ("key", "name") if isinstance(value.get(name), str)), "")
    is_pair = bool(_NAMES.search(label))
    for name, one in value.items():
        hidden = is_secret or bool(_NAMES.search(str(name))) or (is_pair and name in ("value", "default"))
        yield name, one, hidden


def _can_be_secret(value: Any) -> bool:
    return value not in (None, "") and not isinstance(value, bool)


def _secrets(value: Any, is_secret: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for _, one, hidden in _fields(value, is_secret):
            yield from _secrets(one, hidden)
    elif isinstance(value, list):
        for one in value:
            yield from _secrets(one, is_secret)
    elif is_secret and _can_be_secret(value):
        yield str(value)
