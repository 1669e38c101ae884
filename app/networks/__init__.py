"""The networks that the service has, and what is given to them to read."""
