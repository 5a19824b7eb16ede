"""Types of the arguments of operators and sensors that templates may render as texts."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider.core.arguments import Scalar

START_SCALARS: Mapping[str, Scalar] = {
    "allow_duplicates": Scalar("boolean"),
    "min_content": Scalar("integer", optional=True, guard=True, least=0),
    "test_run": Scalar("boolean"),
}
"""Arguments of the operator that starts a run."""

RUN_SCALARS: Mapping[str, Scalar] = {
    **START_SCALARS,
    "max_shrink": Scalar("number", optional=True, guard=True, least=0, most=1),
    "max_errors": Scalar("integer", least=0),
    "allow_unprocessed": Scalar("boolean"),
    "allow_no_results": Scalar("boolean"),
    "poll_interval": Scalar("seconds", above=0),
    "timeout": Scalar("seconds", above=0),
}
"""Arguments of the operator that starts a run and waits for it."""

FETCH_SCALARS: Mapping[str, Scalar] = {"allow_no_results": Scalar("boolean")}
"""Arguments of the operator that downloads results."""

SENSOR_SCALARS: Mapping[str, Scalar] = {
    "poke_interval": Scalar("seconds", least=0),
    "timeout": Scalar("seconds", least=0),
}
"""Arguments of the sensor."""
