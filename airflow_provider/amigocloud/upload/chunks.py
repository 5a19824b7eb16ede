"""Chunks of a task's upload: the place where a later attempt resumes, and only with the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud.uploads import Chunks
from airflow_provider.errors import AmbiguousWriteError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider.core.state.submission import Submission


class StoredChunks(Chunks):
    """Resume point of an upload in the task's state store, with the checksum of the content.

    When the content has changed since, the upload starts over. The earlier upload never becomes a dataset:
    it was not completed. When it may have been, and its dataset is a new one, no other dataset is created.

    :param submission: the chunks as the task's state store has them.
    :param creates: whether the upload creates a dataset, or adds to one: it must not be completed twice.
    :param intend: called right before the request after which a dataset may exist.
    :param log: receives a line when the upload starts over.
    """

    def __init__(
        self, submission: Submission, creates: bool, intend: Callable[[], None], log: Logger
    ) -> None:
        super().__init__()
        self._submission, self._creates, self._intend, self._log = submission, creates, intend, log
        self._note: dict[str, Any] = {}
        self._has_same = False
        # Versions before 0.2 stored no checksum.
        self._earlier: dict[str, Any] = submission.note if isinstance(submission.note, dict) else {}
        self.may_be_complete = False
        """Whether the upload of an earlier attempt, with other content, may have become a dataset."""

    @property
    def upload_id(self) -> str:
        """The id of the upload of an earlier attempt; empty without one."""
        return self._submission.remote_id or ""

    def resume(self, md5: str) -> str:
        """Return the id of the upload to resume; empty when the content is other content than before.

        :raises AmbiguousWriteError: when the earlier upload may have become a dataset.
        """
        self._note = {"md5": md5}
        if not self.upload_id or self._earlier.get("md5", md5) == md5:
            self._has_same = True
            return self.upload_id
        if self._creates and self._earlier.get("completing"):
            self.may_be_complete = True
            raise AmbiguousWriteError(
                "the content has changed since an earlier attempt sent all of it, and no response came: check"
                " whether the dataset exists; a new run of the DAG uploads the content again"
            )
        self._log.info("The content has changed since an earlier attempt began to send it; starting over")
        return ""

    def gone(self, name: str) -> None:
        """Return when the content replaces that of a dataset: it may be sent twice.

        :param name: name of the file.
        :raises AmbiguousWriteError: when a dataset may exist that another upload would create again.
        """
        if self._creates:
            super().gone(name)
        self._log.info("The upload of an earlier attempt is gone; sending the content from its beginning")

    def started(self, upload_id: str) -> None:
        """Store the id of the upload."""
        self._has_same = True
        self._submission.created(upload_id, self._note)

    def completing(self) -> None:
        """Store that a dataset may exist from now on."""
        self._intend()
        self._submission.created(self.upload_id, {**self._note, "completing": True})

    def whole(self) -> None:
        """Forget the chunks of an earlier attempt; a dataset may exist from now on."""
        self._intend()
        if self.upload_id:
            self._submission.renew()

    def refused(self) -> None:
        """Store that the service has refused the last request: it created no dataset."""
        if self.upload_id and self._has_same:
            self._submission.created(self.upload_id, self._note)

    def finished(self) -> None:
        """Forget the chunks: they are a file, whose job is known."""
        self._submission.renew()
