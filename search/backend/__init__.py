"""Where trials train: the protocol of a back end, and Ray Tune as one; clusters, GPUs, security.

The only folder of `search` that imports Ray.
"""
