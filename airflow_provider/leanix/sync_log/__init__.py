"""The workspace's sync log: its items as an export."""
