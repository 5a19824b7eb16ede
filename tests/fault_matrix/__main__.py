"""``python -m tests.fault_matrix --write``: see :mod:`tests.fault_matrix.page`."""

from tests.fault_matrix.page import main

main()
