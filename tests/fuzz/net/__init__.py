# SPDX-License-Identifier: Apache-2.0
"""The net: random programs whose results are known from semantics written a second time, in numpy."""
