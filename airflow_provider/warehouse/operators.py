"""Operators for files on their way to a warehouse."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.pages.links import ReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.warehouse.results import PartResult

__all__ = ["CommitManifestOperator", "SqlLoadOperator"]


class CommitManifestOperator(CheckedOperator):
    """Check the files that mapped export tasks wrote, and write the list of them last, in one step.

    A reader of the manifest gets all parts, or, as long as it is not there, none. Before it is written, all
    of this is checked, and every problem is reported at once: no part is missing or there twice; all are of
    one plan, one dataset and one state; formats and columns are the same; each file is in storage, with the
    size, the SHA-256 hash and (Parquet) the number of rows that its task reported. When the task fails, an
    earlier manifest stays as it was. Repeated with the same parts, it writes the same bytes.

    Results of exports that were not planned (``expand(sql=[...])``) name no part. Their files are checked in
    the same way, but only Airflow knows whether all are there.

    Returns the manifest: ``uri`` (its own), ``format``, ``rows``, ``bytes``, ``files``, ``columns``,
    ``requests``, ``seconds``, and where they apply ``dataset``, ``state`` and ``plan``. Set the outlet assets
    of an export in parts on this task.

    :param parts: results of the export tasks, ``export.output`` of a mapped task or a list (templated).
    :param output_path: path of the manifest: local, or any URL that ``ObjectStoragePath`` takes (templated).
        Operators that take it as their source read files of its own folder and below only.
    :param checksums: whether to read the files and compare their hashes; False compares the sizes only
        (templated).
    :param report: whether to write a page about the rows of all parts beside the manifest, made of the pages
        of the parts, see ``docs/reports.md``. The result has its path as ``report`` (templated).
    """

    template_fields: Sequence[str] = ("parts", "output_path", "checksums", "report")
    operator_extra_links = (ReportLink(),)
    ui_color = "#e4e0f2"

    def __init__(
        self,
        *,
        parts: Sequence[Any],
        output_path: str,
        checksums: bool | str = True,
        report: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.parts = parts
        self.output_path = output_path
        self.checksums = checksums
        self.report = report

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the parts, write the manifest, and return it.

        :raises InputError: with all problems of the arguments, the parts and their files.
        """
        from airflow_provider.core.files.paths.manifests import are_below
        from airflow_provider.core.reports.report import open_report
        from airflow_provider.warehouse.manifest import manifest_of, write_manifest
        from airflow_provider.warehouse.report import subject_of, write_report

        started = time.monotonic()
        results = self._check()
        report = open_report(self, context, self.output_path, subject_of(self.output_path))
        if results[0].part is None:
            self.log.warning("The results name no parts of a plan: it is not known whether all are there")
        manifest = manifest_of(results)
        if not are_below([file["uri"] for file in manifest["files"]], self.output_path):
            self.log.warning(
                "Some files are not in the manifest's folder: operators that take a manifest as their source"
                " read files from its own folder and below only"
            )
        uri = write_manifest(self.output_path, manifest)
        self.log.info(
            "Committed %d files, %d rows, %d bytes: %s",
            *(len(manifest["files"]), manifest["rows"], manifest["bytes"], uri),
        )
        more = {
            "requests": sum(result.requests for result in results),
            "seconds": round(time.monotonic() - started, 3),
        }
        result = {"uri": uri, **manifest, **more}
        if report is not None:
            result = write_report(report, result, results)
        return add_to_outlet_events(context, self.outlets, result)

    def _check(self) -> list[PartResult]:
        """Return the results of all parts; raise all problems."""
        from airflow_provider.core.files.storage import ensure_writable
        from airflow_provider.core.input.conditions import raise_problems
        from airflow_provider.core.input.scalars import Scalar, read_scalars
        from airflow_provider.errors import InputError
        from airflow_provider.warehouse.manifest import file_problems
        from airflow_provider.warehouse.results import location, problems_together, read_results

        scalars = {"checksums": Scalar("boolean"), "report": Scalar("boolean")}
        problems = read_scalars(self, scalars)
        try:
            ensure_writable(self.output_path)
        except InputError as error:
            problems += [f"'output_path': {problem}" for problem in error.problems]
        results, unreadable = read_results(self.parts)
        problems += unreadable + problems_together(results)
        own = location(str(self.output_path))
        problems += [
            f"'output_path' is the file of {result.label}: '{file.uri}'"
            for result in results
            for file in result.all_files()
            if location(file.uri) == own
        ]
        problems += file_problems(results, checksums=self.checksums is not False)
        raise_problems(problems, "the parts")
        return results


class SqlLoadOperator(CheckedOperator):
    """Load a file into a table, in one transaction: readers see the old rows or all new ones, never half.

    The rows are written into a temporary staging table, checked, and then written into the table; a ledger
    ``_twin_loads`` in the table's schema records the load. Whatever fails before the end leaves the table as
    it was, and a retry gives the same result.

    * ``replace`` deletes all rows and inserts those of the source.
    * ``merge`` updates the rows that differ, by ``key``, and inserts those that are new; it deletes none.
    * ``append`` inserts all rows, once: a task that is cleared says "already loaded", and one that comes with
      other content is refused.

    Columns are matched by name. A column that the table lacks fails before anything is written, with the
    statement that adds it. Columns that the source lacks keep their default in new rows, and what they have
    in merged ones. Times without a zone are UTC.

    Returns ``{"table", "rows", "inserted", "updated", "deleted", "load_id"}``, and ``"already_loaded": true``
    when an append was loaded before.

    :param source: path of a file (``.jsonl``, ``.csv``, ``.json``, ``.geojson``, each also with ``.gz``, or
        ``.parquet``, ``.geoparquet``), a wildcard, a folder that ends in ``/``, or a manifest; or the result
        of an export, whose ``rows``, ``bytes`` and ``sha256`` are checked then (templated).
    :param sql_conn_id: a connection whose hook is a ``DbApiHook`` (templated).
    :param table: the table: ``schema.table``, or in double quotes as in SQL (templated).
    :param mode: ``replace``, ``merge`` or ``append`` (templated).
    :param key: columns of the table that identify a row, which must not be empty and not be there twice;
        needed for ``merge`` (templated).
    :param columns: columns of the table by names in the source (templated).
    :param ignore: names in the source that are left out (templated).
    :param create: whether to create the table from the source's types when it is not there (templated).
    :param max_shrink: share of the table's rows that may be missing from the source, from 0 to 1; None for
        any (templated).
    :param allow_empty: whether a source without rows may empty the table (templated).
    :param csv_delimiter: delimiter of CSV, one character; None to detect it (templated).
    :param encoding: encoding of a text file, such as ``cp1252``; None to detect it (templated).
    :param source_format: format of the file, such as ``csv``; None for the path's ending (templated).
    :param hive: whether the names of folders, ``key=value``, are columns (templated).
    :param complete: name of a file that must be in the source's folder, such as ``_SUCCESS`` (templated).
    """

    template_fields: Sequence[str] = (
        "source",
        "sql_conn_id",
        "table",
        "mode",
        "key",
        "columns",
        "ignore",
        "create",
        "max_shrink",
        "allow_empty",
        "csv_delimiter",
        "encoding",
        "source_format",
        "hive",
        "complete",
    )
    ui_color = "#e4e0f2"

    def __init__(
        self,
        *,
        source: str | Mapping[str, Any],
        sql_conn_id: str,
        table: str,
        mode: str = "replace",
        key: Sequence[str] | None = None,
        columns: Mapping[str, str] | None = None,
        ignore: Sequence[str] | None = None,
        create: bool | str = False,
        max_shrink: float | str | None = None,
        allow_empty: bool | str = False,
        csv_delimiter: str | None = None,
        encoding: str | None = None,
        source_format: str | None = None,
        hive: bool | str = False,
        complete: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.mode = mode
        self.key = key
        self.columns = columns
        self.ignore = ignore
        self.create = create
        self.max_shrink = max_shrink
        self.allow_empty = allow_empty
        self.csv_delimiter = csv_delimiter
        self.encoding = encoding
        self.source_format = source_format
        self.hive = hive
        self.complete = complete

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the source, and return the counts.

        :raises InputError: with all problems of the arguments, the rows or the table; nothing was changed.
        :raises AmbiguousWriteError: when it is not known whether the commit took place.
        """
        from airflow_provider.warehouse.load.task import load

        return add_to_outlet_events(context, self.outlets, load(self, context))
