"""Many runs: compared, from one command, or searched for the best settings."""
