"""What stored runs say: read back, judged and compared."""
