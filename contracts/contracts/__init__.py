"""What the services agree on: subjects, messages, reads, values, faults and the catalogue of exchanges."""
