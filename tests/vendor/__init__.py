"""A server that speaks the vendors' genuine wire formats, reached by the genuine client through HTTPS_PROXY alone.

`app` answers as the vendors do, from any source adapter, with settable faults; `proxy` is a CONNECT proxy that leads every host
to it; `server` runs both in a thread; `fixtures` are for pytest. The code under test is unaware of it.
"""
