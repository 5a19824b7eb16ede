"""AmigoCloud: maps, datasets and SQL."""
