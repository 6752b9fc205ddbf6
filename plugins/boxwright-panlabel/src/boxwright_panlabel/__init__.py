"""Forty more annotation formats for boxwright, by way of panlabel."""

boxwright_api = (1, 1)
