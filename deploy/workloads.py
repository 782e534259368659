"""What a plan places, put in place: pyinfra INVENTORY deploy/workloads.py --data plan=plan.json   (or: labctl apply)"""

from labctl.edges.pyinfra_workloads import deploy_workloads

deploy_workloads()
