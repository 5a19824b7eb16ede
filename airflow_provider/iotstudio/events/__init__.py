"""Events of Things: read from a fleet, waited for, watched, exported; and Things that fell silent."""
