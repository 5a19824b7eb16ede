"""Ways to do a job, each a file that is run in a process of its own, some of them in another environment."""
