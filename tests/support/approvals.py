"""Moments at which a question of a task may be answered."""

from __future__ import annotations

from dev.local_airflow import LocalAirflow


def known_pauses(airflow: LocalAirflow, dag_id: str, task_id: str) -> int:
    """Return how many times the scheduler has learned that a task waits for an answer.

    An answer that comes before makes the scheduler repeat the task, as an attempt of its own: it takes the
    end of the task's first part for that of the second one. People take longer than a scheduler, scripts do
    not. Only the scheduler's log says what it knows.

    :param airflow: the Airflow that runs the task.
    :param dag_id: its DAG.
    :param task_id: the task, of which all instances count.
    """
    end = f"Received executor event with state success for task instance TaskInstanceKey(dag_id='{dag_id}'"
    return sum(
        end in line and f"task_id='{task_id}'" in line
        for line in airflow.log.read_text(errors="replace").splitlines()
    )
