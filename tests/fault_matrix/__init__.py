"""The fault matrix: each hook method, operator and sensor under each fault."""
