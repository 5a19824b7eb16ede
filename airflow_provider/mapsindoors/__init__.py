"""MapsIndoors: rooms, places and areas on an indoor map, kept up to date."""
