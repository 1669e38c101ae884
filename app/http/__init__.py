"""What every answer has in common: problems, headers, bounds, encodings, and whose a request is."""
