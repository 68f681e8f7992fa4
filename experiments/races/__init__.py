"""A race: its configuration, its seeded runs, and the folder they are stored in."""
