"""Trains, evaluates, predicts, reads live, explains or sweeps what a config says. See README.md."""

from seqvision.__main__ import command, main

__all__ = ["main"]

if __name__ == "__main__":
    command()
