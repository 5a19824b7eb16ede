"""Apache Airflow provider for MapsIndoors, AmigoCloud, Altair IoT Studio and LeanIX."""

__version__ = "0.1.0"
