"""Hook of LeanIX: runs and processor configurations of a workspace."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow_provider.assets import leanix_asset
from airflow_provider.core.arguments import check_choice
from airflow_provider.core.connection import ConnectionSpec, Extra, Settings
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.auth import Credential, MintedToken
from airflow_provider.core.http.twins import blocking, blocking_iterator, threaded_twin, twin, twin_iterator
from airflow_provider.core.input.conditions import raise_problems, text_condition
from airflow_provider.errors import InputError, NotFoundError, ProviderError, one_line
from airflow_provider.leanix import DEFAULT_CONN_ID, api
from airflow_provider.leanix.api import DIRECTIONS, KEY_FIELDS, MODES, lower
from airflow_provider.leanix.arguments import group_problems

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider.core.http.rate_limit import Budget
    from airflow_provider.core.reports.report import Report
    from airflow_provider.leanix.ldif.document import Ldif


class LeanIXHook(ApiHook):
    """Client of a LeanIX workspace's Integration API.

    :param leanix_conn_id: id of the Airflow connection: host ``https://<subdomain>.leanix.net``, password an
        API token of a technical user; extras ``auth_url`` and ``workspace_id``.
    """

    conn_type: ClassVar[str] = "leanix"
    hook_name: ClassVar[str] = "LeanIX"
    conn_name_attr: ClassVar[str] = "leanix_conn_id"
    default_conn_name: ClassVar[str] = DEFAULT_CONN_ID
    spec: ClassVar[ConnectionSpec] = ConnectionSpec(
        "leanix",
        login="unused",
        extras={"auth_url": Extra("url"), "workspace_id": Extra()},
    )

    requests_per_second: ClassVar[float] = 30.0
    """Requests a second that the service allows a user."""

    upload_above = 32 * 1024 * 1024
    """Maximum bytes of content sent to the API itself; a larger LDIF is uploaded to the service's storage."""

    asset = staticmethod(leanix_asset)

    _has_warned = False

    def __init__(self, leanix_conn_id: str = default_conn_name) -> None:
        super().__init__(leanix_conn_id)
        self.leanix_conn_id = leanix_conn_id

    def credential(self, settings: Settings) -> Credential:
        """Return the credential: the API token is exchanged for an access token of one hour."""
        # A client of the vendor renews on 403: a gateway in front of an API may answer so to a dead token.
        call, service = api.fetch_token(settings.password), self.bases(settings)["auth"]
        return MintedToken(call, renew_on=(401, 403), service=service)

    def bases(self, settings: Settings) -> Mapping[str, str]:
        """Return the base URLs of the API and of the token endpoint."""
        return {"api": settings.host, "auth": settings.extras["auth_url"] or settings.host}

    def budget(self, settings: Settings) -> Budget:
        """Return the request budget that all tasks with the technical user share."""
        return self.shared_budget(settings, self.requests_per_second, settings.host, settings.password)

    def token_budget(self, settings: Settings) -> Budget:
        """Return the budget of the technical user's token requests."""
        return self.shared_token_budget(settings, self.bases(settings)["auth"], settings.password)

    @blocking
    async def probe(self) -> str:
        """Request a token, compare its workspace, and list the processor configurations."""
        claims = await self._claims()
        wanted, found = self.settings.extras["workspace_id"], api.workspace_id_of(claims)
        if wanted and found and str(wanted).lower() != found.lower():
            raise InputError(f"The API token belongs to workspace {found}, not to {wanted}.")
        count = len(await self.alist_configurations())
        return f"Connected to workspace {found or 'of unknown id'}; {count} processor configurations."

    def diagnose(self, error: ProviderError) -> str:
        """Return the problem of the connection as a sentence."""
        if isinstance(error, NotFoundError) and not self.diagnose_address(error):
            where = "host"
            if api.TOKEN_PATH in error.request and self.settings.extras["auth_url"]:
                where = "host of the extra 'auth_url'"
            return (
                f"The {where} answers, but does not know LeanIX's API: is it https://<subdomain>.leanix.net?"
            )
        return super().diagnose(error)

    # -- runs -------------------------------------------------------------------------------------

    def create_run(
        self,
        ldif: Mapping[str, Any] | Ldif,
        *,
        allow_duplicates: bool = False,
        execution_group: str | None = None,
    ) -> str:
        """Create a run and return its id; the run does nothing before it is started.

        :param ldif: the run's header fields and ``content``, as the API takes them, or a prepared
            :class:`~airflow_provider.leanix.ldif.document.Ldif`, which is streamed; when its content is
            larger than ``upload_above`` bytes, it is uploaded to the service's storage.
        :param allow_duplicates: accept items with the same type and id, such as points of a metric.
        :param execution_group: run all configurations of this group as one, instead of the configuration that
            the header selects. They must have one direction and one mode.
        :raises InputError: when the LDIF is invalid, or for another workspace; nothing was sent.
        :raises AmbiguousWriteError: when the reply was lost; the run may exist, but is not started.
        """
        from airflow_provider.leanix.ldif.document import Ldif, read_ldif

        raise_problems(group_problems(execution_group))
        given = isinstance(ldif, Ldif)
        document = ldif if isinstance(ldif, Ldif) else read_ldif(ldif, allow_duplicates=allow_duplicates)
        self.check_workspace(document.header.get("lxWorkspace"))
        if not given:
            return self.send(api.create_run(b"".join(document.open()), execution_group))
        if document.size > self.upload_above:
            return self._create_from_upload(document, execution_group)
        return self.send(api.create_run(document.open, execution_group))

    def _create_from_upload(self, ldif: Ldif, execution_group: str | None) -> str:
        from airflow_provider.leanix.ldif.upload import upload

        url = self.send(api.create_upload_url())
        upload(self, url, ldif)
        self.log.info("Uploaded %d items for the run", ldif.count)
        return self.send(api.create_run_from_url(url, "azureStorage", execution_group))

    @blocking
    async def start_run(self, run_id: str, *, test: bool = False) -> bool:
        """Start a run; return False when the service answers that it was started before.

        :param run_id: the run's id.
        :param test: start a dry run, which changes nothing.
        """
        return await self.asend(api.start_run(run_id, test=test))

    @blocking
    async def stop_run(self, run_id: str) -> bool:
        """Stop a run; return False when it was neither queued nor running.

        :param run_id: the run's id.
        """
        return await self.asend(api.stop_run(run_id))

    @blocking
    async def get_run_status(self, run_id: str) -> str:
        """Return a run's status: CREATED, SEQUENTIALIZED, PENDING, IN_PROGRESS, FINISHED, STOPPED or FAILED.

        :param run_id: the run's id.
        """
        return await self.asend(api.get_status(run_id))

    @blocking
    async def list_runs(self) -> list[dict[str, Any]]:
        """Return id, status and description of all runs that the service stores, in no particular order."""
        return await self.asend(api.list_runs())

    @blocking
    async def get_run_progress(self, run_id: str) -> dict[str, Any]:
        """Return a run's progress; the counters of an inbound run start at 0 with each run level.

        :param run_id: the run's id.
        """
        return await self.asend(api.get_progress(run_id))

    @blocking
    async def get_run_stats(self, run_id: str) -> dict[str, Any]:
        """Return status changes, counts and durations of a run, as the service sends them.

        :param run_id: the run's id.
        """
        return await self.asend(api.get_stats(run_id))

    @blocking_iterator
    async def iter_run_warnings(self, run_id: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a run's warnings and errors one by one, fetched a hundred at a time.

        A run without a sync log yields none, although it may have warnings; the log says so then.

        :param run_id: the run's id.
        """
        page = 0
        while True:
            rows = await self.asend(api.get_warnings(run_id, page))
            if rows is None:
                self.log.warning(
                    "Run %s has no sync log: whether it has warnings is unknown", api.check_run_id(run_id)
                )
                return
            for row in rows:
                yield row
            if len(rows) < api.PAGE:
                return
            page += 1

    def download_results(
        self,
        run_id: str,
        output_path: str,
        *,
        output_format: str | None = None,
        ldif_path: str | None = None,
        report: Report | None = None,
    ) -> dict[str, Any] | None:
        """Write the LDIF that a run produced to a file, or as tables; return the manifest.

        The LDIF is streamed in chunks; a file gets its final name when it is complete. Links to other hosts
        are read without credentials, and only from hosts that the connection allows.

        :param run_id: the run's id.
        :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes. Its ending decides the
            format: ``.json`` and ``.ldif`` for the unchanged bytes, ``.jsonl`` and ``.ndjson`` for the items
            of the content, one per line; each also with ``.gz``. A folder, with ``/`` at its end, gets one
            table for each type, see :class:`~airflow_provider.leanix.operators.LeanIXRunOperator`.
        :param output_format: ``ldif`` or ``jsonl``, for a path without ending; ``jsonl``, ``csv`` or
            ``parquet`` for a folder.
        :param ldif_path: path of a further file that keeps the unchanged bytes beside the tables.
        :param report: the report of a task, which observes the items; None for none.
        :raises InputError: for a path with another ending; nothing was sent.
        :raises IncompleteExportError: when the reply is no complete LDIF; no file was written.
        :return: the manifest, with ``sha256``; None when the run has no results, or none yet.
        """
        from airflow_provider.leanix.ldif.download import save_results

        return save_results(self, run_id, output_path, output_format, ldif_path, report)

    # -- the sync log -----------------------------------------------------------------------------

    @blocking_iterator
    def iter_sync_items(
        self, *, status: str | None = None, since: datetime | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the items of the workspace's sync log, newest first, each once though others are added.

        :param status: ``OK``, ``INFO``, ``WARNING`` or ``ERROR``; None for all.
        :param since: time before which items are left out, with its zone.
        :raises InputError: when neither the token nor the connection names the workspace.
        :raises IncompleteExportError: when pages are the same, or, with ``since``, an item has no
            time.
        """
        from airflow_provider.leanix.sync_items import STATUSES

        if status is not None:
            raise_problems(check_choice("status", status, STATUSES))
        return self._sync_items(status, since)

    async def _sync_items(
        self, status: str | None, since: datetime | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        from airflow_provider.leanix.sync_items import PAGE, read_items

        workspace_id = api.workspace_id_of(await self._claims()) or self.settings.extras["workspace_id"]
        if not workspace_id:
            raise InputError(
                "the API token does not name the workspace: set the extra 'workspace_id'", self.conn_id
            )

        async def fetch(page: int) -> list[dict[str, Any]]:
            return await self.asend(api.list_sync_items(workspace_id, page, PAGE, status))

        async for item in read_items(fetch, since=since):
            yield item

    @blocking
    async def list_synchronizations(self) -> list[dict[str, Any]]:
        """Return synchronizations of the sync log, as many as the service returns at once.

        How it pages them is not documented, nor how they relate to the ids of runs.
        """
        return await self.asend(api.list_synchronizations())

    # -- processor configurations -----------------------------------------------------------------

    @blocking
    async def list_configurations(
        self,
        *,
        connector_type: str | None = None,
        connector_id: str | None = None,
        connector_version: str | None = None,
        processing_direction: str | None = None,
        processing_mode: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the stored processor configurations that match all filters given.

        A filter that is None does not filter; an empty one is refused, because it would match everything.

        Configurations may contain credentials: keep them out of logs and XComs.

        :param connector_type: only configurations with this value.
        :param connector_id: only configurations with this value.
        :param connector_version: only configurations with this value.
        :param processing_direction: ``inbound`` or ``outbound``.
        :param processing_mode: ``partial`` or ``full``.
        :raises InputError: for a filter that is empty, or a direction or mode that does not exist.
        """
        values = {
            "connector_type": connector_type,
            "connector_id": connector_id,
            "connector_version": connector_version,
            "processing_direction": lower(processing_direction),
            "processing_mode": lower(processing_mode),
        }
        problems = [text for name, value in values.items() for text in text_condition(value, name)]
        for name, allowed in (("processing_direction", DIRECTIONS), ("processing_mode", MODES)):
            if not problems and values[name] is not None:
                problems += check_choice(name, values[name], allowed)
        raise_problems(problems)
        return await self.asend(api.list_configurations(dict(zip(KEY_FIELDS, values.values(), strict=True))))

    @blocking
    async def put_configuration(self, configuration: Mapping[str, Any]) -> None:
        """Create or replace the processor configuration with the same five key fields.

        :param configuration: the whole configuration, as the service stores it.
        :raises InputError: when a field of the key is missing, or a secret is masked, as in a plan; nothing
            was sent.
        """
        from airflow_provider.leanix.configurations import read_configuration
        from airflow_provider.leanix.secret_mask import raise_if_masked

        read = read_configuration(configuration, with_defaults=False)
        raise_if_masked([read])
        await self.asend(api.put_configuration(read))

    # -- the workspace ----------------------------------------------------------------------------

    @blocking
    async def check_workspace(self, workspace_id: str | None) -> None:
        """Raise when the API token belongs to another workspace.

        Where neither the token nor the connection names its workspace, a warning says so.

        :param workspace_id: id of the expected workspace; None is not compared.
        :raises InputError: when the token names another workspace.
        """
        if not workspace_id:
            return
        found = api.workspace_id_of(await self._claims()) or self.settings.extras["workspace_id"]
        if not found and not self._has_warned:
            self._has_warned = True
            self.log.warning(
                "lxWorkspace %s cannot be compared: the API token of connection '%s' does not name its"
                " workspace; set the extra 'workspace_id'",
                one_line(str(workspace_id)),
                self.conn_id,
            )
        if found and found.lower() != str(workspace_id).lower():
            raise InputError(
                f"header field 'lxWorkspace' is {workspace_id}, but the API token of connection"
                f" '{self.conn_id}' is for workspace {found}",
                "the LDIF",
            )

    @blocking
    async def sync_log_url(self) -> str:
        """Return the URL of the workspace's sync log in the UI; empty when the token has none of LeanIX."""
        claims = await self._claims()
        hosts = {str(urlsplit(base).hostname) for base in self.bases(self.settings).values()}
        return api.sync_log_page(claims, hosts)

    async def _claims(self) -> dict[str, Any]:
        return api.read_claims(await self.aaccess_token())

    # -- for event loops --------------------------------------------------------------------------

    acreate_run = threaded_twin(create_run)
    astart_run = twin(start_run)
    astop_run = twin(stop_run)
    aget_run_status = twin(get_run_status)
    alist_runs = twin(list_runs)
    aget_run_progress = twin(get_run_progress)
    aget_run_stats = twin(get_run_stats)
    aiter_run_warnings = twin_iterator(iter_run_warnings)
    adownload_results = threaded_twin(download_results)
    aiter_sync_items = twin_iterator(iter_sync_items)
    alist_synchronizations = twin(list_synchronizations)
    alist_configurations = twin(list_configurations)
    aput_configuration = twin(put_configuration)
    acheck_workspace = twin(check_workspace)
    async_log_url = twin(sync_log_url)
