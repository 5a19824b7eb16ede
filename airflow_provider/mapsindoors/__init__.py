"""MapsIndoors: hooks, operators, sensors and triggers for the places of an indoor map."""
