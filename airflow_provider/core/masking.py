"""Tells Airflow's log masker about secrets, in every spelling that can reach a log."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider.core.redaction import spellings, url_spellings


def spelled(secrets: Iterable[str]) -> list[str]:
    """Give the secrets of a connection as the masker should know them: in every spelling."""
    return sorted({text for secret in secrets if secret for text in spellings(secret)})


def spelled_token(token: str) -> list[str]:
    """Give a minted token as the masker should know it.

    The masker never forgets, and works the harder the more it knows, so it gets only the spellings that
    requests have.
    """
    return sorted(url_spellings(token)) if token else []


def mask(texts: list[str]) -> None:
    """Keep these texts out of this process's logs and its supervisor's."""
    from airflow.sdk import log

    if texts:
        log.mask_secret(list(texts))


async def amask(texts: list[str]) -> None:
    """Do the same from an event loop, without a blocking call to the supervisor."""
    from airflow.sdk import log

    if not texts:
        return
    if hasattr(log, "amask_secret"):
        await log.amask_secret(list(texts))
    else:
        # Airflow 3.1 has no async form; masking in this process alone makes no call.
        from airflow.sdk._shared.secrets_masker import mask_secret

        mask_secret(list(texts))
