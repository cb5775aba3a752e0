"""The rules that stop a weak trial: ASHA, a flat Sharpe ratio, a frozen metric; pure functions.

NaN and collapse are noticed in training itself: `trainable/training/health.py`.
"""
