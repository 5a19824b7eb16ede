"""HTTP requests as data, and what sends them."""
