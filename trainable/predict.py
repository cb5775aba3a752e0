"""The names by which a person reads one trained model; all of a search: `trainable.prediction`."""

from trainable.prediction.predictor import (
    CONFIG,
    MODEL,
    STORED,
    Predictor,
    load,
    predictor_of,
    save,
)

__all__ = ["CONFIG", "MODEL", "STORED", "Predictor", "load", "predictor_of", "save"]
