"""Contenders: ways to do a job, each a file that runs in a process and maybe an environment of its own."""
