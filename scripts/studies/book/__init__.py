"""The book of jnn, from `docs/`, the executed notebooks, the docstrings and the result tables.

In the order of work: `assets` (what pages load), `lectures` (text, outputs and solutions of a
notebook as one), `tables` (results), `names`, `docstrings` and `reference` (the API), `sources`
(all of these in one folder), `extension` (what Sphinx is told), `printing` (PDF).
"""
