"""What every command stands on: its front, engines, files and processes."""
