"""Where trials train: the protocol of a back end, and its forms; clusters, GPUs and security.

The only folder of `search` that imports Ray.
"""
