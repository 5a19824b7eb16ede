"""Compatibility: names that differ between the supported Airflow versions."""

from __future__ import annotations


def is_deferrable(wanted: bool | None) -> bool:
    """Return whether a task waits in the triggerer.

    :param wanted: the task's own argument; None for Airflow's option ``[operators] default_deferrable``. The
        option is read when the task runs, because reading it is too slow for the import of an operator.
    """
    if wanted is not None:
        return wanted
    try:
        from airflow.sdk.configuration import conf
    except ImportError:  # Airflow 3.1
        from airflow.configuration import conf
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def max_map_length() -> int:
    """Return the maximum number of mapped tasks, Airflow's option ``[core] max_map_length``."""
    try:
        from airflow.sdk.configuration import conf
    except ImportError:  # Airflow 3.1
        from airflow.configuration import conf
    return int(conf.getint("core", "max_map_length", fallback=1024))


def sensor_timeout(message: str) -> Exception:
    """Create the exception of a sensor that reached its timeout."""
    from airflow.sdk import exceptions

    if not hasattr(exceptions, "AirflowSensorTimeout"):  # Airflow 3.1
        from airflow import exceptions  # type: ignore[no-redef]
    error: Exception = exceptions.AirflowSensorTimeout(message)
    return error


def task_skip(message: str) -> Exception:
    """Create the exception that ends a task as skipped."""
    from airflow.sdk import exceptions

    if not hasattr(exceptions, "AirflowSkipException"):  # Airflow 3.1
        from airflow import exceptions  # type: ignore[no-redef]
    error: Exception = exceptions.AirflowSkipException(message)
    return error


def task_timeout(message: str) -> BaseException:
    """Create the exception of a task that reached its ``execution_timeout``."""
    from airflow.sdk import exceptions

    if not hasattr(exceptions, "AirflowTaskTimeout"):  # Airflow 3.1
        from airflow import exceptions  # type: ignore[no-redef]
    error: BaseException = exceptions.AirflowTaskTimeout(message)
    return error


def connection_not_found() -> type[Exception]:
    """Return the exception that Airflow raises for an unknown connection."""
    from airflow.sdk import exceptions

    if not hasattr(exceptions, "AirflowNotFoundException"):  # Airflow 3.1
        from airflow import exceptions  # type: ignore[no-redef]
    kind: type[Exception] = exceptions.AirflowNotFoundException
    return kind


def without_retry(error: Exception) -> Exception:
    """Return the error as an ``AirflowFailException``, so that the task is not retried.

    :param error: an exception that can be created from its ``args``. The result is also an instance of its
        type, with the same name, message, attributes and traceback.
    """
    try:
        from airflow.sdk.exceptions import AirflowFailException
    except ImportError:  # Airflow 3.1
        from airflow.exceptions import AirflowFailException  # type: ignore[no-redef]
    final = type(type(error).__name__, (type(error), AirflowFailException), {})
    same: Exception = final(*error.args).with_traceback(error.__traceback__)
    vars(same).update(vars(error))
    return same


def gauge(name: str, value: float, tags: dict[str, str]) -> None:
    """Set a gauge among Airflow's metrics."""
    try:
        from airflow.sdk.observability.stats import gauge as set_gauge
    except ImportError:  # before Airflow 3.3
        from airflow.stats import Stats

        set_gauge = Stats.gauge
    set_gauge(name, value, tags=tags)
