"""Run a command on a Ray cluster of two nodes on this machine, each with one core.

python benchmarks/two_nodes.py bench sweep --out runs/sweep-costs-ray
"""

from __future__ import annotations

import os
import sys

from lmaas_train.__main__ import main
from ray import shutdown
from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 200 * 2**20}

if __name__ == "__main__":
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    cluster.add_node(**NODE)
    try:
        status = main([*sys.argv[1:], "--engine", "ray", "--address", cluster.address])
    finally:
        shutdown()
        cluster.shutdown()
    sys.exit(status)
