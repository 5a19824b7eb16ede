"""Apache Airflow provider for MapsIndoors, AmigoCloud, Altair IoT Studio and LeanIX."""

from importlib.metadata import version

__version__ = version("airflow-provider-digital-twin")
