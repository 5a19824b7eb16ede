"""Request budgets shared by processes: one pure planning function, and the stores of its state."""
