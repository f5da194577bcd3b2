"""The compiled core: arrays in, arrays out.

Kernels check neither shapes nor numbers, and an index that is out of range reads other memory. Whoever calls them
checks first (`lmaas_env.checks`).
"""
