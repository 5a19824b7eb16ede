"""Plans: desired state, changes, guards, and the plan as JSON and HTML."""
