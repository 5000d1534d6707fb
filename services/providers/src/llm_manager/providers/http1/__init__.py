"""HTTP/1.1 to providers: connections, their pool, answers as they arrive.

aiohttp took 95 of the 318 us that a request cost the worker (3.14.5, measured 2026-11): trace objects, cookies, a
stream reader of its own. What is here is what is left when one kind of caller is known; the parser is llhttp.
"""
