"""What follows from findings: waivers, attestations, baseline, gate."""
