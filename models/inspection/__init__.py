"""What is looked at: traces, writing, sums inside gates, influence, interventions, gradients checked."""
