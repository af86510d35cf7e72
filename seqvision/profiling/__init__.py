"""Speed: FLOPs, peak, throughput, traces and their summary."""
