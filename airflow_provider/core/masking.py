"""Tells Airflow's log masker about secrets, in every spelling that can reach a log."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider.core.redaction import spellings


def _all_spellings(secrets: Iterable[str]) -> list[str]:
    return sorted({text for secret in secrets if secret for text in spellings(secret)})


def mask(*secrets: str) -> None:
    """Keep these secrets out of this process's logs and its supervisor's."""
    from airflow.sdk import log

    if texts := _all_spellings(secrets):
        log.mask_secret(list(texts))


async def amask(*secrets: str) -> None:
    """Do the same from an event loop, without a blocking call to the supervisor."""
    from airflow.sdk import log

    if not (texts := _all_spellings(secrets)):
        return
    if hasattr(log, "amask_secret"):
        await log.amask_secret(list(texts))
    else:
        # Airflow 3.1 has no async form; masking in this process alone makes no call.
        from airflow.sdk._shared.secrets_masker import mask_secret

        mask_secret(list(texts))
