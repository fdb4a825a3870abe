"""The group `fit`: whole training runs of jnn and of other libraries."""
