"""Layers that several models share; each is a module that `torch.func.vmap` can take."""
