"""Chaos: the whole product on a simulated bench under seeded faults, judged by an observer that knows none of it.

A trial is one seed: a perturbed plant, a schedule of faults, people who come and go, and the protocol of this package.
Faults act in the safety phase; in the liveness phase they are gone, and everything has to come to a safe end. The
observer sees what is really the case and the bytes on the wires; it imports neither engine nor drivers and has its
own numbers, so that no mistake of theirs can hide in it.
"""
