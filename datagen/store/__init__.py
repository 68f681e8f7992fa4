"""The folder of entries that many workers fill."""
