"""Benchmarks: results are compared before anything is timed; `README.md` tells how to add one."""
