"""Pages that tasks record for people, of plans and of reports: their style, their links in Airflow's UI."""
