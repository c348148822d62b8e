"""How often the gate is right: simulated merge requests, judged as the product judges real ones."""
