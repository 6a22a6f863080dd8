#!/usr/bin/env python3
"""cost.py DNNC DIR - estimates of cycles of the four networks of tiny.py beside
published ones, cycles a MAC: the factor between them is the same for all four within
15 %. Bosch's logs of mlcommons/tiny_results_v1.2. Layers sum up to the run."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NETS = ["ic", "kws", "vww", "ad"]
PUBLISHED = [("thumbv7em", "cortex-m4", "Bosch", [1.73, 2.72, 2.89, 2.65]),
             ("thumbv7em", "cortex-m7", "Bosch", [1.03, 1.55, 1.64, 1.44]),
             ("thumbv6m", "cortex-m0", "Bosch", [7.8, 11.4, 12.1, 9.9])]
dnnc, folder = sys.argv[1:]
for net in NETS:
    with open("%s/%s.dnn" % (folder, net), "w") as f:
        subprocess.run([sys.executable, HERE + "/tiny.py", net], stdout=f, check=True)

for triple, cpu, who, cycles in PUBLISHED:
    factors = []
    for net, per_mac in zip(NETS, cycles):
        report = "%s/%s.json" % (folder, net)
        subprocess.run([dnnc, "%s/%s.dnn" % (folder, net), "--target=" + triple, "-mcpu=" + cpu,
                        "-O1", "-o", folder + "/net.o", "--report=" + report], check=True)
        r = json.load(open(report))
        assert r["cycles"] - len(r["layers"]) <= sum(l["cycles"] for l in r["layers"]) <= r["cycles"]
        assert r["flops"] == 2 * r["macs"]
        factors.append(r["cycles"] / r["macs"] / per_mac)
    middle = (max(factors) * min(factors)) ** 0.5
    print(cpu, who, " ".join("%.2f" % f for f in factors),
          "PASS" if max(factors) / middle < 1.15 else "FAIL")
