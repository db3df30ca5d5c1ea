"""The Device Provisioning Service: enrollments, registrations, assignment."""
