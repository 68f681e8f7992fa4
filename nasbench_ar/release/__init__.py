"""The authors' release (JSON lines), read and checked."""
