"""What a training run is made of, as TOML: the shipped recipes, beside the code that reads and checks them.

    recipe.py  the tables of a recipe and their fields
    rules.py   which recipes can be carried out
    files.py   recipes as TOML: shipped, a user's own, single fields
    splits.py  which of a dataset's splits serve for what

Reading a recipe needs no torch.
"""
