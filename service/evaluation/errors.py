"""What `loccit evaluate` and `loccit calibrate` refuse; imports nothing, since every command looks out for it."""

from __future__ import annotations


class InvalidQuestions(Exception):
    """The file, the line, what is wrong there and how to mend it."""
