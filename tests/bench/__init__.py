"""Speed and memory as ratios, measured side by side on one machine: `make bench`. No test depends on a time."""
