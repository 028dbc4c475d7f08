"""Pure functions from arrays and numbers to arrays and numbers: draw a recipe, render a scene."""
