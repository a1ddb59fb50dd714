"""Processes that search and ask beside the one that serves, since Python does one thing at a time in each.

A process holds models and indexes of its own and follows the store. The one that serves lets requests in, hands them
over and passes the answers on; whatever a process cannot answer it works out itself, as if there were no other.

Each process has a lane for each verb: a socket on which it takes a request, answers it, and takes the next.
"""
