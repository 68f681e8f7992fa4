"""What a table will cost: work, memory, time and schedule."""
