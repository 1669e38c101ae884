"""Calculators: processes that compute what people ask networks, and how the server speaks with them."""
