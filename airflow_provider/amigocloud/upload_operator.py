"""The task that uploads a file to AmigoCloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.watching import JobIsDone, look
from airflow_provider.core.asset_events import tell
from airflow_provider.core.compat import for_good, is_deferrable
from airflow_provider.core.polling import clock, wait_for
from airflow_provider.core.state.submission import Submission
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import AmbiguousWriteError, ProviderError, RunFailedError

if TYPE_CHECKING:
    from airflow.sdk import Context


class AmigoCloudUploadOperator(BaseOperator):
    """Uploads a file, and waits until the service has made a dataset of it.

    A try that comes after a crash goes on with the job, or with the chunks, of the try before (from
    Airflow 3.3 on). Where it cannot know whether a new dataset was made, it fails with
    ``AmbiguousWriteError`` rather than make another one.

    :param source: path of the file: local, or anything that ``ObjectStoragePath`` takes (templated). Its
        ending tells the service the format.
    :param dataset: id of the dataset whose content the file replaces; a new dataset without it (templated).
    :param options: further form fields, such as ``{"csv_props.delimiter": ";"}`` (templated).
    :param deferrable: wait in the triggerer; by default what ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between two looks at the job, at the most.
    :param timeout: seconds after which the job counts as stuck.
    :param amigocloud_conn_id: id of the Airflow connection; its token needs the permission to administrate,
        and must be a user's to see the job.
    """

    template_fields: Sequence[str] = ("source", "dataset", "options", "amigocloud_conn_id")
    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        source: str,
        dataset: int | str | None = None,
        options: dict[str, str] | None = None,
        deferrable: bool | None = None,
        poll_interval: float = 5.0,
        timeout: float = 3600.0,
        amigocloud_conn_id: str = AmigoCloudHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.dataset = dataset
        self.options = options
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Upload, and wait here or in the triggerer; gives ``job`` and ``dataset_ids``."""
        submission = self._submission(context)
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            job = submission.remote_id
            if job is None:
                job = self._upload(hook, submission, self._submission(context, "chunks"))
            else:
                self.log.info("Going on with job %s of an earlier try", job)
            deadline = clock() + self.timeout
            if not is_deferrable(self.deferrable):
                return tell(context, self.outlets, self._wait(hook, job, deadline, submission))
        # Only here: what a trigger needs, no task that does not defer has to load.
        from airflow_provider.amigocloud.triggers import AmigoCloudTrigger

        trigger = AmigoCloudTrigger(
            amigocloud_conn_id=self.amigocloud_conn_id,
            question=JobIsDone.__name__,
            about={"job_id": job},
            deadline=deadline,
            poll_interval=self.poll_interval,
        )
        return self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the trigger."""
        submission = self._submission(context)
        if event["status"] == "timeout":
            raise TimeoutError(f"job {submission.remote_id} was not done after {self.timeout:g} s")
        try:
            raise_for(event)
        except RunFailedError:
            submission.renew()
            raise
        submission.finished()
        return tell(context, self.outlets, {"job": event["job"], "dataset_ids": event["dataset_ids"]})

    def _submission(self, context: Context, name: str = "upload") -> Submission:
        request = {"source": self.source, "dataset": self.dataset, "options": self.options}
        return Submission(cast("Any", context), request, self.log, name)

    def _upload(self, hook: AmigoCloudHook, submission: Submission, chunks: Submission) -> str:
        """Upload; remembers what may exist on the service, and the job."""
        if submission.is_known and not chunks.remote_id and self.dataset is None:
            raise AmbiguousWriteError(
                f"an earlier try uploaded '{self.source}' and never learned the job; look whether the dataset"
                " is there; a new run of the DAG uploads again"
            )
        submission.intend()
        try:
            job = hook.upload_file(
                self.source,
                dataset=self.dataset,
                options=self.options,
                upload_id=chunks.remote_id or "",
                started=chunks.created,
            )
        except AmbiguousWriteError as error:
            if self.dataset is None and not chunks.remote_id:
                raise for_good(error) from None
            raise
        except ProviderError:
            submission.renew()
            raise
        submission.created(job)
        chunks.renew()
        self.log.info("Uploaded; the import is job %s", job)
        return job

    def _wait(
        self, hook: AmigoCloudHook, job: str, deadline: float, submission: Submission
    ) -> dict[str, Any]:
        try:
            found = wait_for(
                lambda: look(hook, JobIsDone(job)),
                deadline=deadline,
                poll_interval=self.poll_interval,
                log=self.log,
            )
        except RunFailedError:
            submission.renew()
            raise
        except TimeoutError:
            raise TimeoutError(f"job {job} was not done after {self.timeout:g} s") from None
        submission.finished()
        return {"job": job, "dataset_ids": found["dataset_ids"]}
