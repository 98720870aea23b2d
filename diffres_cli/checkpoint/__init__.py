"""What a model is, and where it comes from.

frontend.py  a front end in numbers
registry.py  parts of a network by name or import path, imported when asked for
parts.py     what a network can be built of: front ends, importance networks, reductions, backbones
variant.py   what a model does otherwise than DiffRes on mel, for comparison
card.py      the facts a model carries with it
hub/         hf:ORG/NAME[@REVISION] <-> files, through the standard hub cache
find.py      a name, folder, file or hf: reference -> the verified model file
parents.py   parents.csv: which classes stand above which, as Animal above Dog
push.py      a checkpoint folder, complete and true to its own card -> the hub
"""
