"""Tables of a run's results: one file for each type, with nested data flattened by one rule."""
