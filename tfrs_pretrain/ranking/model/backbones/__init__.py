"""Built-in backbones, one file each: a function that creates the ranking network, called as ``contract`` describes.

To add one, add a file here, and its kind with the function's path to ``config.backbones``. A package of your own names
such a function, or a class, in an entry point of group ``tfrs_pretrain.backbones`` instead.
"""
