"""Measurement of the audit: each view, the fused verdict, and cleanlab's scores on the same inputs."""
