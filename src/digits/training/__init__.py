"""One run, from its settings to its folder: plan, fit, finish."""
