"""The film of the demo: a real run of ``make demo``, as 90 seconds of moving pictures."""
