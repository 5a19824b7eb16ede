"""Operator that exports the photos of a dataset's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_provider.amigocloud import DEFAULT_CONN_ID
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.pages.links import ReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

MOST_AT_ONCE = 32


class AmigoCloudExportPhotosOperator(CheckedOperator):
    """Export the photos of a dataset's rows into a folder, with a list that joins them to the rows.

    Each photo is a file of its own, ``<gallery>/<amigo_id of the row>/<amigo_id of the photo>-<name>``, which
    has its name when it is complete. The list ``photos.jsonl`` is written last. It has a row for each photo
    that the service has now: ``dataset``, ``gallery``, ``gallery_name``, ``source_amigo_id`` (the row's
    ``amigo_id``), ``amigo_id``, ``filename``, ``uri``, ``bytes`` and ``sha256``. A photo that is listed, but
    whose file the service does not have, has null in the last three.

    A retry after a crash continues after the photos that are in the folder. Returns the manifest of the list,
    with ``new`` (photos that this task has downloaded, earlier attempts included), ``missing`` (those without
    a file) and ``photo_bytes``.

    :param dataset: id of the dataset (templated).
    :param output_path: the folder: a local path, or any URL that ``ObjectStoragePath`` accepts, one for each
        dataset (templated).
    :param incremental: whether to download only photos that the list in the folder does not have. Files of
        photos that were deleted in the service stay (templated).
    :param concurrency: photos to download at once, 1 to 32 (templated).
    :param report: whether to write a page about the list beside it, see ``docs/reports.md``. The result has
        its path as ``report`` (templated).
    :param amigocloud_conn_id: id of the Airflow connection. Photos are redirects to a bucket, whose host
        belongs into the extra ``allowed_hosts`` (templated).
    """

    template_fields: Sequence[str] = (
        "dataset",
        "output_path",
        "incremental",
        "concurrency",
        "report",
        "amigocloud_conn_id",
    )
    operator_extra_links = (ReportLink(),)
    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        dataset: int | str,
        output_path: str,
        incremental: bool | str = False,
        concurrency: int | str = 8,
        report: bool | str = False,
        amigocloud_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.output_path = output_path
        self.incremental = incremental
        self.concurrency = concurrency
        self.report = report
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the photos, and return the manifest of their list.

        :raises InputError: when arguments are invalid, or the dataset has no gallery.
        """
        import time

        from airflow_provider.amigocloud.hooks import AmigoCloudHook
        from airflow_provider.amigocloud.photos.export import LIST, PhotoExport
        from airflow_provider.amigocloud.photos.galleries import read_galleries
        from airflow_provider.core.files.storage import ensure_writable
        from airflow_provider.core.reports.report import Subject, open_report
        from airflow_provider.core.reports.rows import Focus
        from airflow_provider.core.state.identity import task_identity
        from airflow_provider.errors import InputError, cut, one_line

        dataset = self._check_arguments()
        folder = f"{self.output_path.rstrip('/')}/"
        ensure_writable(f"{folder}{LIST}")
        source = f"AmigoCloud, connection {self.amigocloud_conn_id}, photos of dataset {dataset}"
        subject = Subject(f"Photos of dataset {dataset}", source, Focus(types=("gallery_name",)))
        report = open_report(self, context, f"{folder}{LIST}", subject)
        started = time.monotonic()
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            hook.need_project()
            galleries = list(read_galleries(hook, dataset))
            if not galleries:
                raise InputError(f"dataset {dataset} has no gallery", "dataset")
            names = ", ".join(f"'{cut(one_line(one.name))}'" for one in galleries)
            self.log.info("Reading the photos of %s", names)
            concurrency = cast("int", self.concurrency)
            identity = task_identity(cast("Any", context))
            export = PhotoExport(hook, dataset, folder, identity, concurrency, self.log, report)
            result = export.run(galleries, incremental=cast("bool", self.incremental))
            result |= {
                "requests": hook.requests,
                "seconds": round(time.monotonic() - started, 3),
            }
        self.log.info(
            "Exported %d photos (%d new, %d without a file), %d bytes in all: %s",
            *(result[name] for name in ("rows", "new", "missing", "photo_bytes", "uri")),
        )
        return add_to_outlet_events(context, self.outlets, result)

    def _check_arguments(self) -> str:
        """Return the dataset's id; raise for invalid arguments, before any request."""
        from airflow_provider.amigocloud.api import dataset_number
        from airflow_provider.amigocloud.values import path_problems, problems_of
        from airflow_provider.core.input.conditions import raise_problems
        from airflow_provider.core.input.scalars import Scalar, read_scalars

        scalars = {
            "incremental": Scalar("boolean"),
            "report": Scalar("boolean"),
            "concurrency": Scalar("integer", least=1, most=MOST_AT_ONCE),
        }
        problems = [
            *problems_of("dataset", lambda: dataset_number(self.dataset)),
            *path_problems(self.output_path, "output_path"),
            *_root_problems(self.output_path),
            *read_scalars(self, scalars),
        ]
        raise_problems(problems)
        return str(dataset_number(self.dataset))


def _root_problems(path: Any) -> list[str]:
    text = path.strip() if isinstance(path, str) else ""
    root = text and not text.rpartition("://")[2].strip("/")
    return [f"'output_path' is {path!r}: photos need a folder of their own"] if root else []
