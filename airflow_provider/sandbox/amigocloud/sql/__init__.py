"""SQL storage: datasets as SQLite tables with every earlier state."""
