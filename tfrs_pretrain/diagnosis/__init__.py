"""Does a dataset suffer from the one-epoch phenomenon, which ids cause it, and does pretraining cure it?"""
