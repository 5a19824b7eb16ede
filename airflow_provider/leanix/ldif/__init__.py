"""LDIF documents: built, validated, uploaded, downloaded."""
