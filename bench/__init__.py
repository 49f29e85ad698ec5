"""Benchmarks: the real daemon beside its peers, in alternating rounds of one run; docs/benchmarks.md says more.

python -m bench                     # all of them, in their short form
python -m bench herd-10k idle       # some, in full
"""
