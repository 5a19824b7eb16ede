"""Soak: a day of the services in two hours, with all that a day has, and then a comparison with a model.

``make soak`` runs it; ``SOAK_MINUTES`` (120) says how long, ``SOAK_SEED`` repeats the rows and the moments.
"""
