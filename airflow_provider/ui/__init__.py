"""Additions to Airflow's UI: the page "Digital twin", and the pages of plans and reports."""
