"""What all four systems share; nothing in here knows a vendor's name."""
