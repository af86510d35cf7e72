"""Sweeps: search space, plan, scheduler, table and plots of many runs of one config."""
