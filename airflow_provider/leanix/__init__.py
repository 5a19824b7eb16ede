"""LeanIX: start and watch Integration API runs, and fetch what they produce."""
