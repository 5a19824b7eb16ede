"""Plans: desired state, differences, guards, pages."""
