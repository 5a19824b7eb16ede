"""Uploads by a task: files as they are, and rows as CSV; resumed by a retry, never twice."""
