"""State that outlives a process: submissions, watermarks, watcher state."""
