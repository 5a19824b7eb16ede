"""Switches: behaviour that the vendor's docs leave open, and the limits of the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from airflow_provider.sandbox.switches import EndlessSeconds, Number, Rate, Seconds, Status
from airflow_provider.sandbox.tokens import TokenSwitches


@dataclass(eq=False)
class Switches(TokenSwitches):
    """Behaviour of the emulated workspace.

    Switches of runs apply to runs created afterwards.

    :param queue_seconds: seconds for which a run is PENDING.
    :param run_seconds: seconds for which a run is IN_PROGRESS, besides those of its items.
    :param seconds_per_item: seconds for which a run is IN_PROGRESS, for each item of its content.
    :param ending: final status of a run.
    :param stuck_in: status that a run never leaves; null for none.
    :param shown_status: status that the API returns instead of IN_PROGRESS; null for none.
    :param bad_items: number of items with an ERROR, in runs that still FINISH.
    :param doubtful_items: number of items with a WARNING, in runs that still FINISH.
    :param processes_nothing: runs FINISH with counts of 0.
    :param create_returns_list: a create returns a list with one run, as in the OpenAPI file.
    :param has_sync_log: when false, the warnings return 400.
    :param has_results_url: when false, the url of results is null.
    :param strict: check processor configurations, and the types of a header's fields.
    :param results_lag_seconds: seconds from the end of a run until its results exist; "inf" for never.
    :param hidden_runs: ids that are missing from the run list.
    :param allowed: when false, every API route returns 403.
    :param token_seconds: lifetime of a token.
    :param refused_token_status: status of the reply to an invalid token.
    :param expired_token_status: status of the reply to a token that was valid; null for that of an invalid
        one. A client of the vendor's user service renews its token on a 403.
    :param more_applications: number of generated items in an export, after the seeded ones.
    :param link_seconds: lifetime of result links.
    :param bad_api_token_status: status of the token endpoint's reply to an invalid API token.
    :param token_claims: tokens have claims with the workspace.
    :param list_descriptions: the list of runs has their descriptions.
    :param group_descriptions: runs of execution groups keep the description of their input, in their status
        and in the list of runs.
    :param unknown_run_status: status of replies about a run that does not exist.
    :param second_start_status: status of the reply to a start of a run that was started before.
    :param stop_seconds: seconds for which a run keeps its status after a stop; "inf" for a stop that changes
        nothing.
    :param unknown_configuration_status: status of the reply to a create without a stored configuration.
    :param wrong_workspace_status: status of the reply to an input for another workspace; 200 takes it.
    :param masks_secrets: secrets in the list of configurations are masked.
    :param hidden_operations: operations that the API's description lacks, such as
        ``POST /synchronizationRuns/{id}/stop``.
    :param requests_per_second: maximum requests a second of each user to the API; null for no limit. The
        vendor documents 1800 a minute, and not the window in which they are counted.
    """

    queue_seconds: Seconds = 1.5
    run_seconds: Seconds = 1.0
    seconds_per_item: Seconds = 0.01
    ending: Literal["FINISHED", "FAILED", "STOPPED"] = "FINISHED"
    stuck_in: Literal["SEQUENTIALIZED", "PENDING", "IN_PROGRESS"] | None = None
    shown_status: str | None = None
    bad_items: Number = 0
    doubtful_items: Number = 0
    processes_nothing: bool = False
    create_returns_list: bool = False
    strict: bool = True
    has_sync_log: bool = True
    has_results_url: bool = True
    results_lag_seconds: EndlessSeconds = 0.0
    hidden_runs: set[str] = field(default_factory=set)
    allowed: bool = True
    token_seconds: Seconds = 3600.0
    refused_token_status: Status = 401
    expired_token_status: Literal[401, 403] | None = None
    more_applications: Number = 0
    link_seconds: Seconds = 3600.0
    bad_api_token_status: Literal[400, 401, 403, 422] = 401
    token_claims: bool = True
    list_descriptions: bool = True
    group_descriptions: bool = True
    unknown_run_status: Literal[400, 403, 404] = 404
    second_start_status: Literal[400, 409] = 400
    stop_seconds: EndlessSeconds = 0.0
    unknown_configuration_status: Literal[400, 403, 404, 422] = 404
    wrong_workspace_status: Literal[200, 400, 403, 404, 422] = 403
    masks_secrets: bool = False
    hidden_operations: list[str] = field(default_factory=list)
    requests_per_second: Rate | None = None

    aliases: ClassVar[dict[str, str]] = {"results_delay": "results_lag_seconds"}

    @property
    def results_delay(self) -> float:
        """The same as ``results_lag_seconds``."""
        return self.results_lag_seconds

    @results_delay.setter
    def results_delay(self, value: float) -> None:
        self.results_lag_seconds = value
