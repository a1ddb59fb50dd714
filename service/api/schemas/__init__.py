"""The shapes of requests and responses. Pydantic stops here: the engine knows none of it."""
