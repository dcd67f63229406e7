"""The contracts of the services: subjects, messages, reads, values, faults and the catalogue of exchanges."""
