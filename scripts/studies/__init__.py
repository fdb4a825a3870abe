"""Studies: what the commands of `scripts/` run; their earlier results stand in `results/`."""
