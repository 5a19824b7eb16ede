"""What has another name in older Airflow versions."""

from __future__ import annotations


def is_deferrable(wanted: bool | None) -> bool:
    """Tell whether to wait in the triggerer.

    :param wanted: what the task says; None for what Airflow's option ``[operators] default_deferrable`` says.
        It is read when the task runs: reading it costs more than importing an operator should.
    """
    if wanted is not None:
        return wanted
    try:
        from airflow.sdk.configuration import conf
    except ImportError:  # Airflow 3.1
        from airflow.configuration import conf
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def sensor_timeout(message: str) -> Exception:
    """Make the exception that says a sensor's time is up."""
    from airflow.sdk import exceptions

    if not hasattr(exceptions, "AirflowSensorTimeout"):  # Airflow 3.1
        from airflow import exceptions  # type: ignore[no-redef]
    error: Exception = exceptions.AirflowSensorTimeout(message)
    return error


def without_retry(error: Exception) -> Exception:
    """Give an error as one after which Airflow does not try the task again, whatever ``retries`` says.

    :param error: an exception made from its ``args``; the result is one of its type, with its name and words.
    """
    try:
        from airflow.sdk.exceptions import AirflowFailException
    except ImportError:  # Airflow 3.1
        from airflow.exceptions import AirflowFailException  # type: ignore[no-redef]
    final = type(type(error).__name__, (type(error), AirflowFailException), {})
    same: Exception = final(*error.args).with_traceback(error.__traceback__)
    return same


def gauge(name: str, value: float, tags: dict[str, str]) -> None:
    """Set one of Airflow's metrics."""
    try:
        from airflow.sdk.observability.stats import gauge as set_gauge
    except ImportError:  # before Airflow 3.3
        from airflow.stats import Stats

        set_gauge = Stats.gauge
    set_gauge(name, value, tags=tags)
