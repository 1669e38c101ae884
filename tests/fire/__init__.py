"""The service under fire: made-up requests of every kind (`fuzz`), a crowd with hostile clients in it (`load`), and the
dearest requests that are still accepted (`peaks`).
"""
