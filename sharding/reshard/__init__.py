"""Moving buckets while the game is on: a pure planner, a runner, one move, clean-up."""
