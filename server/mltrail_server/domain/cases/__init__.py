"""Compare two models case by case, on a test set that both have answered.

Two statements are kept apart. "This model broke 3 cases and fixed 12" is about two named models: chance comes from
which cases the test set happens to hold. "The change makes models worse" is about all models that training could have
made: chance also comes from the seeds, and only several runs on a side can show how much.
"""
