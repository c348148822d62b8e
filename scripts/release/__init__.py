"""What the pipeline of a version tag does, step by step; `rehearse` takes all steps on this machine."""
