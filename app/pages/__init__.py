"""The pages, and what they carry."""
