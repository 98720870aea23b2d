"""The sounds in examples/, each one made here with NumPy from nothing but arithmetic and a seed.

    synthesis.py   what they share: placing, noise of a given spectrum, struck modes, a room
    speech.py      a formant synthesiser: voice and noise through a moving vocal tract
    struck.py      bells: the church's and the telephone's
    tones.py       siren, smoke alarm, whistling
    nature.py      birdsong, rain

A sound is a function without arguments that returns float64 [N] at RATE (Hz), peak 1. The first line of
its docstring is what is heard, as examples/README.md prints it; the rest is the acoustics.
"""
