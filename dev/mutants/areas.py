"""Areas of the mutation score: their modules, and the tests that must notice a change in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, UNIT = "airflow_provider", "tests/unit"

LEFT_OUT = ("core/sql/test_failures.py::test_a_restart_in_the_middle_is_a_failure_that_can_be_retried",)
"""Tests that kill a server, which all mutants share."""


@dataclass(frozen=True)
class Area:
    """Modules that are measured together.

    :param modules: files or folders of the package.
    :param tests: files or folders of the unit tests.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]

    def sources(self, root: Path = ROOT) -> list[str]:
        """Return the modules' paths, relative to the repository.

        :param root: folder of the repository.
        """
        found: set[Path] = set()
        for name in self.modules:
            path = root / PACKAGE / name
            found.update(path.rglob("*.py") if path.is_dir() else [path])
        return sorted(str(path.relative_to(root)) for path in found if path.name != "__init__.py")

    def test_paths(self) -> list[str]:
        """Return the paths of the tests, relative to the repository."""
        return [f"{UNIT}/{name}" for name in self.tests]


AREAS = {
    "http": Area(
        ("core/http", "core/redaction.py"),
        (
            "core/http",
            "core/limits/test_semaphores.py",
            "core/test_bounds.py",
            "core/test_connection.py",
            "core/test_properties.py",
            "core/test_redaction.py",
            "core/test_secrets.py",
            "core/tokens",
            "security/test_hostile_service.py",
            "test_connection_diagnosis.py",
            "test_retries.py",
            "test_twins.py",
        ),
    ),
    "state": Area(
        ("core/state",),
        ("core/state", "core/test_bounds.py", "core/test_triggers.py", "leanix/runs/test_submit.py"),
    ),
    "files": Area(
        ("core/files",),
        (
            "core/files",
            "core/state/test_pauses.py",
            "core/test_bounds.py",
            "core/test_properties.py",
            "security/test_hostile_rows.py",
            "test_row_operators.py",
        ),
    ),
    "limits": Area(
        ("core/limits",),
        (
            "core/http/test_concurrency.py",
            "core/http/test_rate_limit.py",
            "core/limits",
            "core/test_bounds.py",
            "core/tokens/test_stores.py",
        ),
    ),
    "values": Area(
        ("core/input",),
        (
            "amigocloud/sync/test_exact_numbers.py",
            "core/files/test_reader.py",
            "core/input",
            "core/sql/test_plain_values.py",
            "core/test_bounds.py",
            "mapsindoors/geodata/test_geometry_formats.py",
            "mapsindoors/geodata/test_values.py",
            "security/test_hostile_rows.py",
            "test_mapped_paths.py",
            "test_rendered_nothing.py",
        ),
    ),
    "sql": Area(
        ("core/sql",),
        ("core/files/test_row_source.py", "core/sql", "core/test_bounds.py", "test_sql_sources.py"),
    ),
    "plans": Area(
        (
            "core/sync",
            "mapsindoors/plan/dependencies.py",
            "mapsindoors/plan/desired.py",
            "mapsindoors/plan/document.py",
            "mapsindoors/plan/expected.py",
            "mapsindoors/plan/guards.py",
            "mapsindoors/plan/moves.py",
            "mapsindoors/plan/planner.py",
            "mapsindoors/plan/resolution.py",
            "mapsindoors/plan/restore.py",
        ),
        (
            "core/sync",
            "mapsindoors/geodata/test_rows.py",
            "mapsindoors/geodata/test_values.py",
            "mapsindoors/plan",
            "mapsindoors/sync/test_create.py",
            "mapsindoors/sync/test_dates.py",
            "mapsindoors/sync/test_details.py",
            "mapsindoors/sync/test_details_kept.py",
            "mapsindoors/sync/test_invalid_replies.py",
            "mapsindoors/sync/test_moves.py",
            "mapsindoors/test_conditions.py",
            "mapsindoors/test_keys.py",
            "mapsindoors/test_many_files.py",
            "mapsindoors/test_places.py",
            "mapsindoors/test_sync_operator.py",
            "security/test_hostile_rows.py",
            "security/test_pages.py",
            "test_bounds.py",
            "test_plan_summaries.py",
        ),
    ),
    "comparisons": Area(
        (
            "amigocloud/sync/compare.py",
            "amigocloud/sync/status.py",
            "iotstudio/sync/compare.py",
            "mapsindoors/catalogue/compare.py",
            "mapsindoors/catalogue/matching.py",
            "leanix/as_code/plan.py",
        ),
        (
            "amigocloud/sync/test_compare.py",
            "amigocloud/sync/test_operator.py",
            "amigocloud/sync/test_plan.py",
            "amigocloud/sync/test_status.py",
            "amigocloud/sync/test_values.py",
            "iotstudio/sync",
            "mapsindoors/catalogue/test_catalogue_names.py",
            "mapsindoors/catalogue/test_catalogue_sync.py",
            "mapsindoors/catalogue/test_compare.py",
            "mapsindoors/catalogue/test_matching.py",
            "leanix/test_configuration_plans.py",
            "leanix/test_plan_entries.py",
            "test_bounds.py",
        ),
    ),
    "keyset": Area(
        (
            "amigocloud/export/checkpoint.py",
            "amigocloud/export/fixed_state.py",
            "amigocloud/export/key_order.py",
            "amigocloud/export/keyset.py",
            "amigocloud/export/readers.py",
            "amigocloud/pagination.py",
        ),
        (
            "amigocloud/export/test_checkpoint.py",
            "amigocloud/export/test_export.py",
            "amigocloud/export/test_failures.py",
            "amigocloud/export/test_fixed_state.py",
            "amigocloud/export/test_incremental.py",
            "amigocloud/export/test_key_order.py",
            "amigocloud/export/test_keyset.py",
            "amigocloud/export/test_keyset_edges.py",
            "amigocloud/export/test_keyset_requests.py",
            "amigocloud/export/test_parts.py",
            "amigocloud/export/test_readers.py",
            "amigocloud/export/test_sql.py",
            "amigocloud/export/test_types.py",
            "amigocloud/test_hooks.py",
            "amigocloud/test_pagination.py",
            "amigocloud/test_properties.py",
            "test_bounds.py",
        ),
    ),
    "ldif": Area(
        (
            "leanix/ldif/content.py",
            "leanix/ldif/document.py",
            "leanix/ldif/header.py",
            "leanix/ldif/stream_parser.py",
            "leanix/ldif/validation.py",
        ),
        (
            "leanix/ldif/test_content.py",
            "leanix/ldif/test_document.py",
            "leanix/ldif/test_header.py",
            "leanix/ldif/test_items.py",
            "leanix/ldif/test_many_files.py",
            "leanix/ldif/test_mapping.py",
            "leanix/ldif/test_stream_parser.py",
            "leanix/ldif/test_validation.py",
            "test_bounds.py",
        ),
    ),
    "runs": Area(
        (
            "leanix/runs/finish.py",
            "leanix/runs/outcome.py",
            "leanix/runs/request.py",
            "leanix/runs/shared_poll.py",
            "leanix/runs/shrink_guard.py",
            "leanix/runs/submit.py",
            "leanix/runs/wait.py",
        ),
        ("leanix/runs", "leanix/test_operators.py", "leanix/test_triggers.py", "test_bounds.py"),
    ),
    "watchers": Area(
        (
            "amigocloud/triggers.py",
            "amigocloud/watchers",
            "core/shared_polls.py",
            "core/trigger_events.py",
            "core/triggers.py",
            "iotstudio/events/fleet.py",
            "iotstudio/events/silence.py",
            "iotstudio/events/watch.py",
            "iotstudio/push/watch.py",
            "iotstudio/triggers.py",
            "leanix/triggers.py",
        ),
        (
            "amigocloud/watchers",
            "core/state/test_firing.py",
            "core/test_sensor.py",
            "core/test_shared_polls.py",
            "core/test_trigger_events.py",
            "core/test_triggers.py",
            "iotstudio/events/test_fleet.py",
            "iotstudio/events/test_place.py",
            "iotstudio/events/test_sensors.py",
            "iotstudio/events/test_silence.py",
            "iotstudio/events/test_watcher.py",
            "iotstudio/push/test_comparison.py",
            "iotstudio/push/test_floods.py",
            "iotstudio/push/test_topics.py",
            "iotstudio/push/test_watcher.py",
            "amigocloud/test_conditions.py",
            "amigocloud/test_patience.py",
            "amigocloud/test_sensors.py",
            "iotstudio/test_actions.py",
            "iotstudio/test_sensors.py",
            "leanix/runs/test_paused.py",
            "leanix/runs/test_results.py",
            "leanix/runs/test_shared_poll.py",
            "leanix/test_run_ended_trigger.py",
            "leanix/test_triggers.py",
            "test_bounds.py",
            "test_trigger_serialisation.py",
        ),
    ),
}
