"""How to decide: a pure core that runs a real night and a simulated one unchanged.

Theory of operation. `decide(context, state, inputs)` looks at one image of the bench and says what happened
(events), what to do (commands) and how far each accumulator has come (the tally). `evolve(state, event)` is the only
way in which the discrete state changes, so the journal folded over an empty bench gives it back; the tally is
checkpointed with each scan. Nothing here knows the time, the wire or the disk: they are inputs.
"""
