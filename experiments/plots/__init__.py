"""Pictures of races, and the style of all pictures."""
