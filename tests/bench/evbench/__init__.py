# SPDX-License-Identifier: MIT
"""The benchmark of evlb beside nginx, HAProxy and a null relay; `scripts/bench` runs it.

Read in this order: modes.py (what is measured), balancers.py (who), runner.py (how one figure comes
about), then the tools: load.py, syscalls.py, instructions.py, idle.py, proc.py.
"""
