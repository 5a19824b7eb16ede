"""Route handlers of the AmigoCloud API."""
