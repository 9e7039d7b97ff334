# SPDX-License-Identifier: MIT
"""What the end-to-end tests are made of; conftest.py has the reference."""
