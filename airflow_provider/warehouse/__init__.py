"""Files between the services and a warehouse: manifests of exports in parts."""
