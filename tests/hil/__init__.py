"""Hardware in the loop: real drivers over real sockets and terminals, the plant in a process of its own.

`make hil` runs all of it (a quarter of an hour), `make hil-short` a form of both tiers that takes a minute.
"""
